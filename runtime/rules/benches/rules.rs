//! What rules cost beside the fastest JSON library's full parse of the same payload: `cargo bench -p isthmus-rules`.
//!
//! Prints the time of each case and, where the case has a goal, its ratio to the case it is compared with; fails when a
//! goal is missed. The cases take turns in short batches and the fastest batch of each counts, so that whatever else
//! the machine does meets all of them alike. Several processes measure one after the other: where memory comes to lie
//! makes the same parse a third slower in some of them. With the name of a case and a number it only runs that case so
//! many times, for a profiler.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start says why by panicking")]
#![expect(clippy::print_stdout, reason = "its figures are what a benchmark is for")]

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use bytes::Bytes;
use isthmus_rules::trie::FilterTrie;
use isthmus_rules::value::json::Index;
use isthmus_rules::{Column, Columns, Environment, Event, EventKind, FixedHost, Limits, Rule, RuleId, Value};

/// A vehicle's telemetry: 13 keys, one nested map, one list; 258 bytes.
const PAYLOAD: &str = r#"{"id":"car-7","temp":21.5,"speed":87,"heading":271.25,"fuel":0.63,"engine":{"rpm":2450,"oil":91.2,"on":true},"doors":[false,false,true,false],"position":"52.5163,13.3777","odometer":183245,"vin":"WVWZZZ1JZXW000001","driver":null,"firmware":"4.2.1","seq":99123}"#;

const NOT_MATCHING: &str = r#"SELECT payload.temp AS t, clientid FROM "vehicles/+" WHERE payload.temp > 100"#;
const MATCHING: &str = r#"SELECT payload.temp AS t, clientid FROM "vehicles/+" WHERE payload.temp > 0"#;

/// Processes, batches of each case in each of them, and how long a batch takes at least.
const PROCESSES: usize = 8;
const ROUNDS: usize = 200;
const BATCH: Duration = Duration::from_micros(100);
/// What the processes are called with.
const MEASURE: &str = "measure";

struct Case {
    name: &'static str,
    /// The case it is compared with, and how many times its cost this one may cost.
    goal: Option<(&'static str, f64)>,
    /// Runs it so many times.
    run: Box<dyn Fn(u32)>,
    batch: u32,
    fastest: f64,
}

impl Case {
    fn new<T>(name: &'static str, goal: Option<(&'static str, f64)>, once: impl Fn() -> T + 'static) -> Self {
        let run = move |times| (0..times).for_each(|_| drop(black_box(once())));
        Self { name, goal, run: Box::new(run), batch: 1, fastest: f64::INFINITY }
    }

    fn time(&self) -> Duration {
        let start = Instant::now();
        (self.run)(self.batch);
        start.elapsed()
    }

    fn warm_up(&mut self) {
        while self.time() < BATCH {
            self.batch *= 2;
        }
    }

    fn measure(&mut self) {
        self.fastest = self.fastest.min(self.time().as_nanos() as f64 / f64::from(self.batch));
    }
}

fn main() -> ExitCode {
    let mut cases = cases();
    let (options, words): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] if options.iter().any(|option| option == "--bench") => report(&cases, &fastest(cases.len())),
        // `cargo test --all-targets`: whether they run.
        [] => {
            for case in &cases {
                (case.run)(1);
            }
            ExitCode::SUCCESS
        }
        [MEASURE] => {
            cases.iter_mut().for_each(Case::warm_up);
            (0..ROUNDS).for_each(|_| cases.iter_mut().for_each(Case::measure));
            for case in &cases {
                println!("{}", case.fastest);
            }
            ExitCode::SUCCESS
        }
        [name, times] => {
            let case = cases.iter().find(|case| case.name == *name).unwrap();
            (case.run)(times.parse().unwrap());
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

/// The nanoseconds of each case in the process in which it was fastest.
fn fastest(cases: usize) -> Vec<f64> {
    let mut fastest = vec![f64::INFINITY; cases];
    for _ in 0..PROCESSES {
        let output = Command::new(std::env::current_exe().unwrap()).arg(MEASURE).output().unwrap();
        let figures = String::from_utf8(output.stdout).unwrap();
        assert_eq!(figures.lines().count(), cases, "{}", String::from_utf8_lossy(&output.stderr));
        fastest.iter_mut().zip(figures.lines()).for_each(|(best, line)| *best = best.min(line.parse().unwrap()));
    }
    fastest
}

fn report(cases: &[Case], fastest: &[f64]) -> ExitCode {
    println!("{:<28} {:>8} {:>7} {:>7}", "", "ns", "ratio", "goal");
    let mut missed = false;
    for (case, nanoseconds) in cases.iter().zip(fastest) {
        print!("{:<28} {nanoseconds:>8.0}", case.name);
        if let Some((reference, goal)) = case.goal {
            let ratio = nanoseconds / fastest[cases.iter().position(|case| case.name == reference).unwrap()];
            print!(" {ratio:>5.2} × {goal:>5.2} × of {reference}{}", if ratio > goal { ": MISSED" } else { "" });
            missed |= ratio > goal;
        }
        println!();
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn cases() -> Vec<Case> {
    vec![
        Case::new("full_parse", None, || {
            sonic_rs::from_slice::<sonic_rs::Value>(black_box(PAYLOAD.as_bytes())).unwrap()
        }),
        Case::new("index_alone", None, || Index::of(black_box(PAYLOAD)).unwrap()),
        Case::new("not_matching", Some(("full_parse", 1.0)), run(NOT_MATCHING, 1)),
        Case::new("row_as_json", Some(("full_parse", 2.0)), run(MATCHING, 1)),
        Case::new("ten_rules_not_matching", Some(("full_parse", 4.0)), run(NOT_MATCHING, 10)),
        // Without what rules over one message share this would be ten times `row_as_json`, 20 × at its goal.
        Case::new("ten_rules_rows_as_json", Some(("full_parse", 4.0)), run(MATCHING, 10)),
        Case::new("topic_of_10_filters", None, topic(10)),
        Case::new("topic_of_10000_filters", Some(("topic_of_10_filters", 1.5)), topic(10_000)),
    ]
}

/// A message with a few of the columns the broker gives it, made as the broker makes them.
struct Message {
    payload: Bytes,
    client_id: std::sync::Arc<str>,
}

impl Columns for Message {
    fn kind(&self) -> EventKind {
        EventKind::MessagePublish
    }

    fn get(&self, column: Column) -> Value {
        match column {
            Column::ClientId => Value::from(self.client_id.clone()),
            Column::Payload => Value::shared_binary(&self.payload),
            _ => Value::Undefined,
        }
    }
}

/// Runs `sql` once for each of `rules` over one message, its rows printed as JSON; the message is new each time.
fn run(sql: &str, rules: usize) -> impl Fn() -> usize + 'static {
    let rules: Vec<Rule> = (0..rules).map(|_| Rule::compile(sql).unwrap().rule).collect();
    // As in a packet's buffer: several owners, none of them static.
    let packet = Bytes::from(format!("..{PAYLOAD}"));
    let message = Message { payload: packet.slice(2..), client_id: "car-7".into() };
    let (host, limits, id) = (FixedHost::default(), Limits::default(), RuleId::from("bench"));
    let out = std::cell::RefCell::new(Vec::with_capacity(4096));
    move || {
        let (event, mut out) = (Event::new(black_box(&message)), out.borrow_mut());
        out.clear();
        for rule in &rules {
            let rows = rule.evaluate(&event, &mut Environment::new(&host, &limits, &id)).unwrap();
            rows.iter().for_each(|row| row.write_json(&mut out).unwrap());
        }
        black_box(&out).len()
    }
}

/// Matches a topic with `filters`, of which three match.
fn topic(filters: usize) -> impl Fn() -> usize + 'static {
    let mut trie = FilterTrie::new();
    for (number, filter) in ["vehicles/+/telemetry", "vehicles/7/#", "vehicles/7/telemetry"].into_iter().enumerate() {
        trie.insert(filter, number);
    }
    for number in 3..filters {
        trie.insert(&format!("site-{}/line-{number}/+/state", number % 100), number);
    }
    move || {
        let mut sum = 0;
        trie.for_each_match(black_box("vehicles/7/telemetry"), |value| sum += value);
        sum
    }
}
