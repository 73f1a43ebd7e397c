//! Text in columns, as lsof(8) and ss(8) print it.

/// Heads and rows, each column as wide as its widest cell; one line each.
pub(crate) fn columns<const N: usize>(
    indent: usize,
    heads: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let rows: Vec<_> = std::iter::once(heads.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in &rows {
        let mut line = " ".repeat(indent);
        for (cell, width) in row.iter().zip(widths) {
            let padding = width - cell.chars().count();
            line.push_str(cell);
            line.push_str(&" ".repeat(padding + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn each_column_is_as_wide_as_its_widest_cell() {
        let rows = [["nginx", "7"], ["größe", "12345"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            columns(2, ["COMMAND", "PID"], rows.into_iter()),
            "  COMMAND  PID\n  nginx    7\n  größe    12345\n"
        );
    }
}
