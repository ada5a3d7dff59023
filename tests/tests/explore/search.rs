//! The explorer itself: it finds what is there, by a shortest way, and nothing else.

use std::time::Duration;

use proto_core::Instant;
use verification::explore::{Broken, Log, Report, System, explore};

/// Two jugs of 3 and 5 litres.
struct Jugs {
    forbidden: u8,
}

#[derive(Clone, Copy, Debug)]
enum Pour {
    Fill(usize),
    Empty(usize),
    Over(usize),
}

const SIZES: [u8; 2] = [3, 5];

impl System for Jugs {
    type State = [u8; 2];
    type Action = Pour;

    fn memory(&self) -> Duration {
        Duration::ZERO
    }

    fn bounds(&self) -> String {
        String::new()
    }

    fn starts(&self) -> Vec<[u8; 2]> {
        vec![[0, 0]]
    }

    fn actions(&self, _: &[u8; 2]) -> Vec<Pour> {
        [0, 1].into_iter().flat_map(|jug| [Pour::Fill(jug), Pour::Empty(jug), Pour::Over(jug)]).collect()
    }

    fn step(&self, jugs: &mut [u8; 2], pour: &Pour, log: &mut Log) -> Result<(), Broken> {
        match *pour {
            Pour::Fill(jug) => jugs[jug] = SIZES[jug],
            Pour::Empty(jug) => jugs[jug] = 0,
            Pour::Over(jug) => {
                let other = 1 - jug;
                let much = jugs[jug].min(SIZES[other] - jugs[other]);
                jugs[jug] -= much;
                jugs[other] += much;
            }
        }
        log.say(|| format!("{jugs:?}"));
        Ok(())
    }

    fn now(&self, _: &[u8; 2]) -> Instant {
        Instant::ZERO
    }

    fn check(&self, jugs: &[u8; 2]) -> Result<(), Broken> {
        if jugs[1] == self.forbidden { Err(Broken::new("forbidden", "")) } else { Ok(()) }
    }

    fn show(&self, jugs: &[u8; 2]) -> String {
        format!("{jugs:?}")
    }
}

#[test]
fn everything_is_visited_once() {
    let Report { states, edges, depth, is_closed, .. } = explore(&Jugs { forbidden: 9 }, 1_000, &mut ()).unwrap();
    assert_eq!((states, edges, depth, is_closed), (16, 96, 7, true));
}

#[test]
fn the_same_graph_has_the_same_hash_and_a_limit_is_said() {
    let whole = explore(&Jugs { forbidden: 9 }, 1_000, &mut ()).unwrap();
    assert_eq!(whole, explore(&Jugs { forbidden: 9 }, 1_000, &mut ()).unwrap());
    let part = explore(&Jugs { forbidden: 9 }, 8, &mut ()).unwrap();
    assert!(!part.is_closed && part.states >= 8 && part.hash != whole.hash);
}

#[test]
fn the_counterexample_is_a_shortest_one_and_can_be_read() {
    let found = explore(&Jugs { forbidden: 4 }, 1_000, &mut ()).unwrap_err();
    let pours = found.trace.iter().filter(|line| line.starts_with("  ") && line.contains('(')).count();
    assert_eq!(pours, 6, "{found}");
    assert!(found.to_string().ends_with("→ [3, 4]\n"), "{found}");
}
