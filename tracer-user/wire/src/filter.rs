//! `--filter EXPR`: which lines are shown. One grammar for `trace`, `dump`, the API and the page; its
//! vectors are in `testdata/filter.json`.
//!
//! ```text
//! filter  = { term }                      separated by white space; a line fits when every term does
//! term    = [ "-" ] ( key ":" value { "," value } | text )
//! value   = [ ">" | ">=" | "<" | "<=" ] number [ "ns" | "us" | "µs" | "ms" | "s" ]   for a numeric key
//!         | "true" | "false"                                                         for a boolean key
//!         | text, in which "*" stands for anything                                   for any other key
//! text    = word | '"' words '"'          in quotes, \" and \\ stand for themselves
//! ```
//!
//! A key is the name of a field of [`Line`]; a line without the field does not fit the term, and fits its negation. A
//! term without a key fits a line that has the text, in whatever case, in one of its textual fields. Units go with
//! fields whose name ends in `_ns`. A value of `event` that no event has is refused: it would only hide everything.

use crate::line::Line;
use std::{iter::Peekable, str::Chars};
use tracer_model::event::EventKind;

/// A filter that was understood.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    terms: Vec<Term>,
}

/// A filter that was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter: {token}: {reason}")]
pub struct FilterError {
    /// The part that cannot be read.
    pub token: String,
    /// Why, and what would do.
    pub reason: String,
}

#[derive(Clone, Debug)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// Somewhere in a textual field; lower case.
    Anywhere(String),
    /// One of the patterns.
    Text(fn(&Line) -> Option<&str>, Vec<Pattern>),
    /// One of the patterns, for one of the texts.
    Texts(fn(&Line) -> &[String], Vec<Pattern>),
    /// One of the comparisons.
    Number(fn(&Line) -> Option<i128>, Vec<Comparison>),
    /// One of the comparisons, for one of the numbers.
    Numbers(fn(&Line) -> &[i32], Vec<Comparison>),
    /// One of the values.
    Flag(fn(&Line) -> Option<bool>, Vec<bool>),
}

/// What a key leads to.
#[derive(Clone, Copy)]
enum Field {
    Text(fn(&Line) -> Option<&str>),
    Texts(fn(&Line) -> &[String]),
    Number(fn(&Line) -> Option<i128>),
    Numbers(fn(&Line) -> &[i32]),
    Flag(fn(&Line) -> Option<bool>),
}

/// Every field of [`Line`] by its JSON name, `t` aside: only the API has it.
const FIELDS: &[(&str, Field)] = &[
    ("seq", Field::Number(|line| Some(line.seq.into()))),
    ("ts_ns", Field::Number(|line| Some(line.ts_ns.into()))),
    ("process", Field::Text(|line| line.process.as_deref())),
    ("pid", Field::Number(|line| line.pid.map(Into::into))),
    ("tid", Field::Number(|line| line.tid.map(Into::into))),
    ("comm", Field::Text(|line| line.comm.as_deref())),
    ("event", Field::Text(|line| Some(&line.event))),
    ("call", Field::Text(|line| line.call.as_deref())),
    ("call_id", Field::Number(|line| line.call_id.map(Into::into))),
    ("pending", Field::Flag(|line| Some(line.pending))),
    ("fd", Field::Number(|line| line.fd.map(Into::into))),
    ("ret", Field::Number(|line| line.ret.map(Into::into))),
    ("error", Field::Text(|line| line.error.as_deref())),
    ("new_fd", Field::Number(|line| line.new_fd.map(Into::into))),
    ("fds", Field::Numbers(|line| &line.fds)),
    ("cloexec", Field::Flag(|line| line.cloexec)),
    ("nonblock", Field::Flag(|line| line.nonblock)),
    ("kind", Field::Text(|line| line.kind.as_deref())),
    ("inode", Field::Number(|line| line.inode.map(Into::into))),
    ("path", Field::Text(|line| line.path.as_deref())),
    ("socket", Field::Text(|line| line.socket.as_deref())),
    ("listener", Field::Text(|line| line.listener.as_deref())),
    ("family", Field::Text(|line| line.family.as_deref())),
    ("type", Field::Text(|line| line.ty.as_deref())),
    ("protocol", Field::Text(|line| line.protocol.as_deref())),
    ("netns", Field::Number(|line| line.netns.map(Into::into))),
    ("local", Field::Text(|line| line.local.as_deref())),
    ("peer", Field::Text(|line| line.peer.as_deref())),
    ("asked", Field::Text(|line| line.asked.as_deref())),
    ("level", Field::Text(|line| line.level.as_deref())),
    ("option", Field::Text(|line| line.option.as_deref())),
    ("asked_value", Field::Number(|line| line.asked_value.map(Into::into))),
    ("value", Field::Number(|line| line.value.map(Into::into))),
    ("options", Field::Texts(|line| &line.options)),
    ("backlog", Field::Number(|line| line.backlog.map(Into::into))),
    ("queue_len", Field::Number(|line| line.queue_len.map(Into::into))),
    ("queue_limit", Field::Number(|line| line.queue_limit.map(Into::into))),
    ("wait_ns", Field::Number(|line| line.wait_ns.map(Into::into))),
    ("asleep_ns", Field::Number(|line| line.asleep_ns.map(Into::into))),
    ("runnable_ns", Field::Number(|line| line.runnable_ns.map(Into::into))),
    ("running_ns", Field::Number(|line| line.running_ns.map(Into::into))),
    ("blocked_ns", Field::Number(|line| line.blocked_ns.map(Into::into))),
    ("blocked_in", Field::Text(|line| line.blocked_in.as_deref())),
    ("unknown_ns", Field::Number(|line| line.unknown_ns.map(Into::into))),
    ("accept_failed", Field::Texts(|line| &line.accept_failed)),
    ("slept", Field::Flag(|line| Some(line.slept))),
    ("drops", Field::Number(|line| line.drops.map(Into::into))),
    ("drops_total", Field::Number(|line| line.drops_total.map(Into::into))),
    ("queue_full_min", Field::Number(|line| line.queue_full_min.map(Into::into))),
    ("queue_full_max", Field::Number(|line| line.queue_full_max.map(Into::into))),
    ("period_ns", Field::Number(|line| line.period_ns.map(Into::into))),
    ("bytes_acked", Field::Number(|line| line.bytes_acked.map(Into::into))),
    ("bytes_received", Field::Number(|line| line.bytes_received.map(Into::into))),
    ("rtt_us", Field::Number(|line| line.rtt_us.map(Into::into))),
    ("retransmits", Field::Number(|line| line.retransmits.map(Into::into))),
    ("app_protocol", Field::Text(|line| line.app_protocol.as_deref())),
    ("sni", Field::Text(|line| line.sni.as_deref())),
    ("sni_cut", Field::Flag(|line| Some(line.sni_cut))),
    ("dur_ns", Field::Number(|line| line.dur_ns.map(Into::into))),
    ("from", Field::Text(|line| line.from.as_deref())),
    ("to", Field::Text(|line| line.to.as_deref())),
    ("dir", Field::Text(|line| line.dir.as_deref())),
    ("closed_first", Field::Text(|line| line.closed_first.as_deref())),
    ("child", Field::Text(|line| line.child.as_deref())),
    ("ns_pid", Field::Number(|line| line.ns_pid.map(Into::into))),
    ("pidns", Field::Number(|line| line.pidns.map(Into::into))),
    ("cgroup", Field::Text(|line| line.cgroup.as_deref())),
    ("status", Field::Number(|line| line.status.map(Into::into))),
    ("how", Field::Text(|line| line.how.as_deref())),
    ("count", Field::Number(|line| line.count.map(Into::into))),
    ("cause", Field::Text(|line| line.cause.as_deref())),
    ("standing", Field::Text(|line| line.standing.as_deref())),
    ("repaired", Field::Number(|line| line.repaired.map(Into::into))),
    ("why", Field::Text(|line| line.why.as_deref())),
    ("since_ns", Field::Number(|line| line.since_ns.map(Into::into))),
    ("ring", Field::Number(|line| line.ring.map(Into::into))),
    ("direct", Field::Number(|line| line.direct.map(Into::into))),
    ("new_direct", Field::Number(|line| line.new_direct.map(Into::into))),
    ("directs", Field::Numbers(|line| &line.directs)),
    ("new_ring", Field::Number(|line| line.new_ring.map(Into::into))),
    ("via", Field::Text(|line| Some(&line.via))),
    ("inferred", Field::Flag(|line| Some(line.inferred))),
    ("late", Field::Flag(|line| Some(line.late))),
    ("unconfirmed", Field::Flag(|line| Some(line.unconfirmed))),
    ("confirmed", Field::Flag(|line| Some(line.confirmed))),
    ("doubtful", Field::Flag(|line| Some(line.doubtful))),
    // By its cause.
    ("explain", Field::Text(|line| line.explain.as_deref().map(|explain| explain.cause.as_ref()))),
    ("cpu", Field::Number(|line| line.cpu.map(Into::into))),
    ("cpu_seq", Field::Number(|line| line.cpu_seq.map(Into::into))),
];

impl Filter {
    /// Reads a filter. An empty one fits every line.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        tokens(text)?.into_iter().map(Token::term).collect::<Result<_, _>>().map(|terms| Self { terms })
    }

    /// Whether a line fits.
    #[must_use]
    pub fn matches(&self, line: &Line) -> bool {
        self.terms.iter().all(|term| term.test.fits(line) != term.negated)
    }
}

impl Test {
    fn fits(&self, line: &Line) -> bool {
        match self {
            Self::Anywhere(needle) => FIELDS.iter().any(|(_, field)| match field {
                Field::Text(get) => get(line).is_some_and(|text| text.to_lowercase().contains(needle)),
                Field::Texts(get) => get(line).iter().any(|text| text.to_lowercase().contains(needle)),
                Field::Number(_) | Field::Numbers(_) | Field::Flag(_) => false,
            }),
            Self::Text(get, any) => {
                get(line).is_some_and(|text| any.iter().any(|pattern| pattern.fits(text)))
            }
            Self::Texts(get, any) => {
                get(line).iter().any(|text| any.iter().any(|pattern| pattern.fits(text)))
            }
            Self::Number(get, any) => {
                get(line).is_some_and(|number| any.iter().any(|wanted| wanted.fits(number)))
            }
            Self::Numbers(get, any) => {
                get(line).iter().any(|number| any.iter().any(|wanted| wanted.fits((*number).into())))
            }
            Self::Flag(get, any) => get(line).is_some_and(|flag| any.contains(&flag)),
        }
    }
}

/// A text in which `*` stands for anything: the parts between the stars.
#[derive(Clone, Debug)]
struct Pattern(Vec<String>);

impl Pattern {
    fn fits(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return false };
        let Some((last, middle)) = rest.split_last() else { return text == first };
        let Some(mut left) =
            text.strip_prefix(first.as_str()).and_then(|left| left.strip_suffix(last.as_str()))
        else {
            return false;
        };
        // The leftmost place for each part leaves the most room for the next.
        middle.iter().all(|part| {
            left.find(part.as_str())
                .map(|at| left = left.get(at + part.len()..).unwrap_or_default())
                .is_some()
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Comparison {
    operator: Operator,
    with: i128,
}

#[derive(Clone, Copy, Debug)]
enum Operator {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    fn fits(self, number: i128) -> bool {
        match self.operator {
            Operator::Equal => number == self.with,
            Operator::Greater => number > self.with,
            Operator::GreaterOrEqual => number >= self.with,
            Operator::Less => number < self.with,
            Operator::LessOrEqual => number <= self.with,
        }
    }

    /// `None` where the text is no comparison.
    fn parse(text: &str, with_units: bool) -> Option<Self> {
        let (operator, number) = [
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            (">", Operator::Greater),
            ("<", Operator::Less),
        ]
        .into_iter()
        .find_map(|(sign, operator)| Some((operator, text.strip_prefix(sign)?)))
        .unwrap_or((Operator::Equal, text));
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(number.len());
        let (digits, unit) = number.split_at_checked(end)?;
        let factor = match unit {
            "" => 1,
            _ if !with_units => return None,
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            _ => return None,
        };
        // 64 bits hold every field; the product fits in 128.
        Some(Self { operator, with: i128::from(digits.parse::<i64>().ok()?) * factor })
    }
}

/// A term as it was written: `key` and `values` without their quotes, or one value without a key.
struct Token {
    text: String,
    negated: bool,
    key: Option<String>,
    values: Vec<Value>,
}

/// A value: its parts between unquoted stars.
struct Value(Vec<String>);

impl Default for Value {
    fn default() -> Self {
        Self(vec![String::new()])
    }
}

impl Value {
    fn is_empty(&self) -> bool {
        matches!(self.0.as_slice(), [only] if only.is_empty())
    }

    /// Whether it is a lone star.
    fn is_anything(&self) -> bool {
        matches!(self.0.as_slice(), [before, after] if before.is_empty() && after.is_empty())
    }

    fn plain(&self) -> String {
        self.0.join("*")
    }
}

impl Token {
    fn error(&self, reason: impl Into<String>) -> FilterError {
        FilterError { token: self.text.clone(), reason: reason.into() }
    }

    fn term(self) -> Result<Term, FilterError> {
        let test = match &self.key {
            None => Test::Anywhere(self.values.first().map(Value::plain).unwrap_or_default().to_lowercase()),
            Some(key) => self.test(key)?,
        };
        Ok(Term { negated: self.negated, test })
    }

    fn test(&self, key: &str) -> Result<Test, FilterError> {
        let Some((_, field)) = FIELDS.iter().find(|(name, _)| *name == key) else {
            let names: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
            return Err(self.error(format!(
                "no field is called {key:?}; put text that holds a colon in quotes, or use one of: {}",
                names.join(" ")
            )));
        };
        if self.values.iter().any(Value::is_empty) {
            return Err(self.error(format!("a value is missing; \"{key}:*\" asks whether there is one")));
        }
        let numbers = || {
            let with_units = key.ends_with("_ns");
            let form = if with_units {
                "a whole number, with a unit (ns us ms s) if you like, and > >= < or <= before it"
            } else {
                "a whole number, and > >= < or <= before it if you like"
            };
            self.values
                .iter()
                .map(|value| Comparison::parse(&value.plain(), with_units))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| self.error(format!("{key:?} is compared with {form}")))
        };
        if key == "event" {
            for value in &self.values {
                let pattern = Pattern(value.0.clone());
                if !EventKind::ALL.iter().any(|kind| pattern.fits(kind.name())) {
                    let names: Vec<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
                    return Err(self.error(format!(
                        "no event is called {:?}; use some of: {}",
                        value.plain(),
                        names.join(" ")
                    )));
                }
            }
        }
        let present = self.values.iter().any(Value::is_anything);
        Ok(match *field {
            Field::Texts(get) => {
                Test::Texts(get, self.values.iter().map(|value| Pattern(value.0.clone())).collect())
            }
            Field::Text(get) => {
                Test::Text(get, self.values.iter().map(|value| Pattern(value.0.clone())).collect())
            }
            Field::Number(get) if present => Test::Number(get, vec![ANY_NUMBER]),
            Field::Numbers(get) if present => Test::Numbers(get, vec![ANY_NUMBER]),
            Field::Flag(get) if present => Test::Flag(get, vec![true, false]),
            Field::Number(get) => Test::Number(get, numbers()?),
            Field::Numbers(get) => Test::Numbers(get, numbers()?),
            Field::Flag(get) => {
                let flags = self.values.iter().map(|value| value.plain().parse()).collect::<Result<_, _>>();
                Test::Flag(get, flags.map_err(|_| self.error(format!("{key:?} is true or false")))?)
            }
        })
    }
}

const ANY_NUMBER: Comparison = Comparison { operator: Operator::GreaterOrEqual, with: i128::MIN };

fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(tokens);
        }
        tokens.push(token(&mut chars)?);
    }
}

fn token(chars: &mut Peekable<Chars<'_>>) -> Result<Token, FilterError> {
    let written: String = chars.clone().take_while(|c| !c.is_whitespace()).collect();
    let mut token =
        Token { text: written, negated: chars.next_if_eq(&'-').is_some(), key: None, values: Vec::new() };
    let mut value = Value::default();
    let mut anything = false;
    while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
        anything = true;
        let Some(part) = value.0.last_mut() else { break };
        match c {
            '"' => quoted(chars, part).ok_or_else(|| token.error("a closing quote is missing"))?,
            ':' if token.key.is_none() => token.key = Some(std::mem::take(part)),
            ',' if token.key.is_some() => token.values.push(std::mem::take(&mut value)),
            '*' if token.key.is_some() => value.0.push(String::new()),
            _ => part.push(c),
        }
    }
    if !anything {
        return Err(token.error("nothing follows the minus sign; put it in quotes to look for it"));
    }
    token.values.push(value);
    Ok(token)
}

/// Reads up to the closing quote; `None` where there is none.
fn quoted(chars: &mut Peekable<Chars<'_>>, into: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '"' => return Some(()),
            '\\' => into.push(chars.next()?),
            c => into.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FIELDS, Filter};
    use crate::line::Line;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    const VECTORS: &str = include_str!("../testdata/filter.json");

    #[derive(Deserialize)]
    struct Vectors {
        lines: BTreeMap<String, Line>,
        fits: Vec<Fits>,
        errors: Vec<Error>,
    }

    #[derive(Deserialize)]
    struct Fits {
        filter: String,
        lines: Vec<String>,
    }

    #[derive(Deserialize)]
    struct Error {
        filter: String,
        token: String,
        says: String,
    }

    #[test]
    fn vectors() {
        let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
        for case in vectors.fits {
            let filter =
                Filter::parse(&case.filter).unwrap_or_else(|error| panic!("{}: {error}", case.filter));
            let fitting: Vec<_> = vectors
                .lines
                .iter()
                .filter(|(_, line)| filter.matches(line))
                .map(|(name, _)| name.clone())
                .collect();
            assert_eq!(fitting, case.lines, "{}", case.filter);
        }
        for case in vectors.errors {
            let error = Filter::parse(&case.filter).expect_err(&case.filter);
            assert_eq!(error.token, case.token, "{}", case.filter);
            assert!(error.reason.contains(&case.says), "{}: {}", case.filter, error.reason);
        }
    }

    #[test]
    fn every_field_of_a_line_is_a_key() {
        use ts_rs::TS as _;
        let declaration = Line::decl(&ts_rs::Config::new());
        let fields: Vec<_> = declaration
            .lines()
            .filter(|line| !line.starts_with([' ', '/', '*']))
            .filter_map(|line| line.split_once(':').map(|(name, _)| name.trim_end_matches('?')))
            .filter(|name| *name != "t")
            .collect();
        let keys: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
        assert_eq!(keys, fields);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*", number in -9_i64..9) {
            if let Ok(filter) = Filter::parse(&format!("{text} fd:{number} local:*{text}")) {
                let _ = filter.matches(&Line { local: Some(text), ..Line::default() });
            }
        }
    }
}
