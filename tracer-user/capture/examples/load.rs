//! Loads.
fn main() {
    let t = std::time::Instant::now();
    let settings = tracer_capture::Settings { selection: tracer_capture::Selection { pids: std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect(), ..Default::default() }, ..Default::default() };
    match tracer_capture::Capture::attach(&settings) { Ok(c) => println!("{:#?} {:?}", c.report(), t.elapsed()), Err(e) => println!("{e}") }
}
