//! Rows of the table: a goal, what was seen, by how much it was missed.

/// What a row is to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// How it was found where the time or the memory goes, and the parts.
type Found = (String, Vec<String>);

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) goal: Goal,
    pub(crate) unit: &'static str,
    /// One figure a round.
    pub(crate) seen: Vec<f64>,
    /// Other tools in the same run, or how the figure came about.
    pub(crate) beside: String,
    /// Where the time or the memory goes. Shown where the goal is missed.
    pub(crate) profile: Found,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, goal: Goal, unit: &'static str, seen: Vec<f64>) -> Self {
        Self { what: what.into(), goal, unit, seen, beside: String::new(), profile: Default::default() }
    }

    pub(crate) fn beside(self, beside: impl Into<String>) -> Self {
        Self { beside: beside.into(), ..self }
    }

    pub(crate) fn profile(self, how: impl Into<String>, parts: Vec<String>) -> Self {
        Self { profile: (how.into(), parts), ..self }
    }

    fn missed(&self) -> Option<f64> {
        let seen = median(&self.seen)?;
        let by = match self.goal {
            Goal::AtLeast(goal) => goal - seen,
            Goal::AtMost(goal) => seen - goal,
        };
        (by > 0.0).then_some(by)
    }
}

/// The figure in the middle.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().saturating_sub(1) / 2)?, sorted.get(sorted.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

/// A figure with its spread over the rounds.
pub(crate) fn with_spread(figures: &[f64], unit: &str) -> String {
    let Some(middle) = median(figures) else { return "not measured".to_owned() };
    let text = format!("{} {unit}", short(middle));
    if figures.len() < 2 {
        return text;
    }
    let (least, most) = figures.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), figure| {
        (least.min(*figure), most.max(*figure))
    });
    format!("{text} ({} to {})", short(least), short(most))
}

/// Three digits are more than these figures hold.
fn short(figure: f64) -> String {
    let size = figure.abs();
    if size >= 100.0 || size == 0.0 {
        format!("{figure:.0}")
    } else if size >= 10.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.2}")
    }
}

/// Prints the table as Markdown, and below it where the time or the memory goes of what missed its goal.
pub(crate) fn print(rows: &[Row]) {
    println!("| what | goal | seen: median (spread) | missed by | beside it, same run |");
    println!("|---|---|---|---|---|");
    for row in rows {
        let Row { what, unit, seen, beside, .. } = row;
        let goal = match row.goal {
            Goal::AtLeast(goal) => format!("≥ {} {unit}", short(goal)),
            Goal::AtMost(goal) => format!("≤ {} {unit}", short(goal)),
        };
        let missed = row.missed().map(|by| format!("{} {unit}", short(by))).unwrap_or_default();
        println!("| {what} | {goal} | {} | {missed} | {beside} |", with_spread(seen, unit));
    }
    // Rows of one load have the same.
    let mut profiles: Vec<(&Found, Vec<&str>)> = Vec::new();
    for row in rows.iter().filter(|row| row.missed().is_some()) {
        match profiles.iter_mut().find(|(profile, _)| **profile == row.profile) {
            Some((_, missed)) => missed.push(&row.what),
            None => profiles.push((&row.profile, vec![&row.what])),
        }
    }
    for ((how, parts), missed) in profiles {
        println!("\nMissed: {}. {how}:\n", missed.join("; "));
        for part in parts {
            println!("- {part}");
        }
    }
}
