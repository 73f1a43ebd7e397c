//! nginx, one worker, a new connection for each request: throughput with a tool against without, and what a record costs.

use crate::{
    Size,
    harness::{Group, descendants, free_port, is_listening, wait_for},
    load::as_f64,
    meter::{Ran, Statistics, cpu_ns, programs, since},
    profile::{Profile, Sampling, Unit},
    table::{Goal, Row, with_spread},
    tools::{Running, Tool},
};
use anyhow::{Context as _, Result, ensure};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// The server under load.
struct Nginx {
    _group: Group,
    worker: u32,
    port: u16,
    dir: TempDir,
}

impl Nginx {
    fn start() -> Result<Self> {
        let (dir, port) = (tempfile::tempdir()?, free_port()?);
        let prefix = dir.path().display();
        let config = format!(
            "daemon off; worker_processes 1; user root; pid {prefix}/nginx.pid; error_log {prefix}/error.log;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off; keepalive_timeout 0;
                 client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy;
                 fastcgi_temp_path {prefix}/fastcgi; uwsgi_temp_path {prefix}/uwsgi; scgi_temp_path {prefix}/scgi;
                 server {{ listen 127.0.0.1:{port}; location / {{ return 200 hello; }} }}
             }}"
        );
        let (file, log) = (dir.path().join("nginx.conf"), dir.path().join("error.log"));
        fs::write(&file, config)?;
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(&file).arg("-e").arg(&log).arg("-p").arg(dir.path()).stderr(Stdio::null());
        let group = Group::start("nginx", &mut command)?;
        wait_for("nginx", || is_listening(port))?;
        let worker =
            wait_for("nginx's worker", || descendants(group.pid())?.first().copied().context("no worker"))?;
        Ok(Self { _group: group, worker, port, dir })
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// One request.
    fn visit(&self) -> Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new())?;
        Ok(())
    }

    /// Requests a second under load from 32 connections at a time.
    fn load(&self, size: Size) -> Result<f64> {
        // wrk takes whole seconds.
        let seconds = size.load.as_secs().max(1).to_string();
        let output = Command::new("wrk")
            .args(["-t1", "-c32", "-d", &seconds, "-H", "Connection: close"])
            .arg(format!("http://127.0.0.1:{}/", self.port))
            .stdin(Stdio::null())
            .output()
            .context("cannot run wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
        rate.with_context(|| format!("wrk said {text}"))
    }
}

pub(crate) fn rows(size: Size) -> Result<Vec<Row>> {
    let nginx = Nginx::start()?;
    let poke = || nginx.visit();
    nginx.load(size)?;
    let mut share: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let (mut untraced, mut records, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    let mut others_lost: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..size.rounds {
        let mut before = nginx.load(size)?;
        for tool in Tool::ALL {
            let running = Running::start(tool, nginx.worker, nginx.dir(), poke)
                .with_context(|| tool.name().to_owned())?;
            let traced = nginx.load(size)?;
            let out = if let Running::Trace { out, .. } = &running { Some(out.clone()) } else { None };
            let missing = running.end().with_context(|| tool.name().to_owned())?;
            if tool == Tool::Trace || tool == Tool::Serve {
                lost.push(as_f64(missing));
            } else if tool != Tool::Strace {
                others_lost.entry(tool.name()).or_default().push(as_f64(missing));
            }
            if let Some(out) = out {
                let written = Written::read(&out)?;
                records.push(as_f64(written.records) / as_f64(written.accepted));
            }
            let after = nginx.load(size)?;
            let alone = f64::midpoint(before, after);
            untraced.push(alone);
            share.entry(tool.name()).or_default().push(100.0 * traced / alone);
            before = after;
        }
    }
    let mut costs = Vec::new();
    for _ in 0..size.rounds {
        costs.push(Cost::measure(&nginx, size)?);
    }
    let each = |part: fn(&Cost) -> f64| costs.iter().map(part).collect::<Vec<f64>>();
    let (kernel, user) = (each(Cost::kernel_ns), each(|cost| cost.user_ns));
    let cost = each(|cost| (cost.kernel_ns() + cost.user_ns) / 1e3);
    let split = costs.last().map(Cost::split).unwrap_or_default();
    let alone = sampled(&nginx, None, size)?;
    let [trace, serve] = [Tool::Trace, Tool::Serve].map(|tool| sampled(&nginx, Some(tool), size));
    let (trace, serve) = (trace?.parts(&alone), serve?.parts(&alone));
    let others_lost: Vec<String> =
        others_lost.iter().map(|(tool, lost)| format!("{tool} {}", with_spread(lost, ""))).collect();
    let of = |tool: Tool| share.get(tool.name()).cloned().unwrap_or_default();
    let beside = |tool: Tool| format!("{} {}", tool.name(), with_spread(&of(tool), "%"));
    let others = [Tool::Strace, Tool::PerfTrace, Tool::Bpftrace].map(beside).join(", ");
    let untraced = with_spread(&untraced, "requests/s");
    Ok(vec![
        Row::new("nginx, throughput with `trace --json -o FILE`", Goal::AtLeast(97.0), "%", of(Tool::Trace))
            .beside(format!("{others}; untraced {untraced}"))
            .profile(SAMPLED, trace),
        Row::new("nginx, throughput with `serve` and a client", Goal::AtLeast(95.0), "%", of(Tool::Serve))
            .profile(SAMPLED, serve),
        Row::new("records for an accepted and closed connection", Goal::AtMost(4.0), "", records),
        Row::new("a record, kernel and user space", Goal::AtMost(0.4), "µs", cost)
            .beside(format!("kernel {}, user space {}", with_spread(&kernel, "ns"), with_spread(&user, "ns")))
            .profile(COUNTED, split),
        Row::new("events lost at that load", Goal::AtMost(0.0), "", lost).beside(others_lost.join(", ")),
    ])
}

/// How the profile of a record came about.
const COUNTED: &str =
    "Where the time of a record goes, as the kernel counts it of its programs, which costs time itself";
/// How those of the throughput did.
const SAMPLED: &str = "Where the time of a request goes beyond what it takes untraced, sampled by perf";

/// What a request costs under a tool, or without.
struct Request {
    /// In nginx's worker.
    worker: Profile,
    /// In the tool.
    tool: Option<Profile>,
}

fn sampled(nginx: &Nginx, tool: Option<Tool>, size: Size) -> Result<Request> {
    let running =
        tool.map(|tool| Running::start(tool, nginx.worker, nginx.dir(), || nginx.visit())).transpose()?;
    let sampling = Sampling::begin()?;
    let requests = nginx.load(size)? * as_f64(size.load.as_secs().max(1));
    let samples = sampling.end()?;
    let mut request = Request { worker: samples.of(nginx.worker)?.each(requests), tool: None };
    if let Some(mut running) = running {
        request.tool = Some(samples.of(running.pid())?.each(requests));
        running.end()?;
    }
    Ok(request)
}

impl Request {
    fn parts(self, alone: &Self) -> Vec<String> {
        let mut parts =
            self.worker.more_than(&alone.worker).parts("more in nginx's worker", Unit::Nanoseconds);
        parts.extend(self.tool.iter().flat_map(|tool| tool.parts("in the daemon", Unit::Nanoseconds)));
        parts
    }
}

/// What a trace wrote.
struct Written {
    records: u64,
    accepted: u64,
}

impl Written {
    fn read(out: &Path) -> Result<Self> {
        let mut accepted = 0;
        let mut cpus: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for line in BufReader::new(fs::File::open(out)?).lines() {
            let line = line?;
            accepted += u64::from(line.contains("\"event\":\"accept\"") && line.contains("\"new_fd\":"));
            if let (Some(cpu), Some(seq)) = (number(&line, "\"cpu\":"), number(&line, "\"cpu_seq\":")) {
                let seen = cpus.entry(cpu).or_insert((seq, seq));
                *seen = (seen.0.min(seq), seen.1.max(seq));
            }
        }
        ensure!(accepted > 0, "{} tells no accept", out.display());
        Ok(Self { records: cpus.values().map(|(first, last)| last - first + 1).sum(), accepted })
    }
}

fn number(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(name)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What one record costs: the time of every kernel program, also where it found nothing to tell, and the daemon's.
struct Cost {
    records: f64,
    programs: BTreeMap<String, Ran>,
    user_ns: f64,
}

impl Cost {
    fn measure(nginx: &Nginx, size: Size) -> Result<Self> {
        let _statistics = Statistics::begin()?;
        let running = Running::start(Tool::Trace, nginx.worker, nginx.dir(), || nginx.visit())?;
        let Running::Trace { mut trace, out } = running else { anyhow::bail!("not a trace") };
        let pid = trace.group().pid();
        let (user, before) = (cpu_ns(pid)?, programs(pid)?);
        nginx.load(size)?;
        let (user, programs) = (cpu_ns(pid)? - user, since(programs(pid)?, &before));
        trace.interrupt()?;
        let records = as_f64(Written::read(&out)?.records);
        Ok(Self { records, programs, user_ns: as_f64(user) / records })
    }

    fn kernel_ns(&self) -> f64 {
        self.programs.values().map(|ran| as_f64(ran.ns)).sum::<f64>() / self.records
    }

    /// Where the time of a record goes: each program's part, the longest first, and the daemon's.
    fn split(&self) -> Vec<String> {
        let mut parts: Vec<(&String, &Ran)> = self.programs.iter().filter(|(_, ran)| ran.runs > 0).collect();
        parts.sort_by_key(|(_, ran)| std::cmp::Reverse(ran.ns));
        let part = |(name, ran): (&String, &Ran)| {
            let (ns, runs) = (as_f64(ran.ns), as_f64(ran.runs));
            format!(
                "{name}: {:.0} ns a record, in {:.1} runs of {:.0} ns",
                ns / self.records,
                runs / self.records,
                ns / runs
            )
        };
        let user = format!("user space: {:.0} ns a record", self.user_ns);
        parts.into_iter().map(part).chain([user]).collect()
    }
}
