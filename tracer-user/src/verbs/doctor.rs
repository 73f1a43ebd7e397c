//! `sockreel doctor`: what this machine allows.

use crate::{cli, exit};
use anyhow::Result;
use std::{
    io::{self, Write as _},
    process::ExitCode,
};
use tracer_capture::{Finding, findings};

pub(crate) fn run(args: &cli::Doctor) -> Result<ExitCode> {
    let findings = findings();
    let lines = if args.json { json(&findings) } else { table(&findings) };
    io::stdout().write_all((lines.join("\n") + "\n").as_bytes())?;
    Ok(exit::DONE.into())
}

fn json(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|Finding { subject, ok, detail, cost, mend }| {
            serde_json::json!({
                "subject": subject, "ok": ok, "detail": detail, "cost": cost, "mend": mend
            })
            .to_string()
        })
        .collect()
}

fn table(findings: &[Finding]) -> Vec<String> {
    let width = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for Finding { subject, ok, detail, cost, mend } in findings {
        lines.push(format!("{:<7}  {subject:<width$}  {detail}", if *ok { "ok" } else { "missing" }));
        let under = |label: &str, text: &str| format!("{:<7}  {:<width$}  {label}: {text}", "", "");
        lines.extend(cost.iter().map(|cost| under("costs", cost)));
        lines.extend(mend.iter().map(|mend| under("mend", mend)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{json, table};
    use tracer_capture::Finding;

    fn findings() -> [Finding; 2] {
        [
            Finding {
                subject: "kernel types".to_owned(),
                ok: true,
                detail: "/sys/kernel/btf/vmlinux".to_owned(),
                cost: None,
                mend: None,
            },
            Finding {
                subject: "privilege".to_owned(),
                ok: false,
                detail: "CAP_BPF is missing".to_owned(),
                cost: Some("nothing can be traced".to_owned()),
                mend: Some("sudo sockreel ...".to_owned()),
            },
        ]
    }

    #[test]
    fn the_table_puts_cost_and_cure_below_what_is_missing() {
        assert_eq!(
            table(&findings()),
            [
                "ok       kernel types  /sys/kernel/btf/vmlinux",
                "missing  privilege     CAP_BPF is missing",
                "                       costs: nothing can be traced",
                "                       mend: sudo sockreel ...",
            ]
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let lines: Vec<serde_json::Value> =
            json(&findings()).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["mend"], serde_json::Value::Null);
        assert_eq!(lines[1]["mend"], "sudo sockreel ...");
        assert_eq!(lines.len(), 2);
    }
}
