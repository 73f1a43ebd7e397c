//! Where events are printed: standard output or a file, as text or JSON Lines.

use crate::cli::{Printing, When};
use anyhow::{Context as _, Result};
use jiff::tz::TimeZone;
use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
};
use tracer_model::event::Event;
use tracer_wire::{filter::Filter, json, line::Line, text::Text};

/// How much is handed to the kernel at once.
const BLOCK_BYTES: usize = 128 << 10;

/// Prints events that fit the filter.
pub(crate) struct Output {
    name: String,
    file: File,
    /// Whole lines that were not handed to the kernel yet.
    buffer: Vec<u8>,
    terminal: bool,
    form: Form,
    filter: Option<Filter>,
}

enum Form {
    Json,
    Text(Text),
}

impl Output {
    /// Opens the output.
    pub(crate) fn open(printing: Printing) -> Result<Self> {
        let Printing { json, filter, color, output } = printing;
        let (name, file) = if let Some(path) = output {
            let name = path.display().to_string();
            let file =
                File::create(&path).with_context(|| format!("cannot create the output file {name}"))?;
            (name, file)
        } else {
            // Written to without the library's line buffer: it would write every line on its own.
            let stdout = io::stdout().as_fd().try_clone_to_owned().context("cannot use standard output")?;
            ("standard output".to_owned(), stdout.into())
        };
        let terminal = file.is_terminal();
        let form = if json {
            Form::Json
        } else {
            Form::Text(Text::new(TimeZone::system(), color.applies(terminal)))
        };
        Ok(Self { name, file, buffer: Vec::new(), terminal, form, filter })
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Somebody looks at it, line by line.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Prints an event.
    pub(crate) fn write(&mut self, event: &Event) -> io::Result<()> {
        if let Some(filter) = &self.filter
            && !filter.matches(&Line::new(event))
        {
            return Ok(());
        }
        match &self.form {
            Form::Json => json::write(event, &mut self.buffer),
            Form::Text(text) => self.buffer.extend_from_slice(text.line(event).as_bytes()),
        }
        self.buffer.push(b'\n');
        if self.buffer.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Hands everything to the kernel.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written
    }
}

/// Whatever ends the program with an error: what is whole was printed first.
impl Drop for Output {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

impl When {
    /// Whether it applies to an output; `auto` respects <https://no-color.org>.
    fn applies(self, terminal: bool) -> bool {
        let unwanted =
            |name, value: &str| std::env::var_os(name).is_some_and(|set| value.is_empty() || set == value);
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => terminal && !unwanted("NO_COLOR", "") && !unwanted("TERM", "dumb"),
        }
    }
}
