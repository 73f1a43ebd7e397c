//! Text in columns, as lsof(8) and ss(8) print it.

/// Heads and rows, each column as wide as its widest cell; one line each.
pub(crate) fn columns(indent: usize, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = " ".repeat(indent);
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.chars().count() + 2));
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
        let rows = [["nginx", "7"], ["größe", "12345"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            columns(2, &["COMMAND", "PID"], rows.into_iter()),
            "  COMMAND  PID\n  nginx    7\n  größe    12345\n"
        );
    }
}
