//! The laws of belief: how many must say it, what one liar can do, what flapping does.

use super::*;
use proptest::prelude::*;

const PERIOD: Duration = Duration::from_secs(300);

fn ip(last: u8) -> IpAddr {
    IpAddr::from([203, 0, 113, last])
}

fn at(seconds: i64) -> Moment {
    Moment::from_millis(seconds * 1000)
}

fn sources(operators: &[&str]) -> Vec<Source> {
    let source = |(index, operator): (usize, &&str)| Source {
        label: format!("{operator}{index}").into(),
        operator: (*operator).into(),
        trace: operator.starts_with("trace"),
    };
    operators.iter().enumerate().map(source).collect()
}

struct Rig {
    watch: Watch,
    rng: fastrand::Rng,
    asked: Vec<usize>,
}

impl Rig {
    fn new(operators: &[&str], agree: usize) -> Rig {
        Rig {
            watch: Watch::new(&sources(operators), agree, PERIOD, at(0)),
            rng: fastrand::Rng::with_seed(7),
            asked: Vec::new(),
        }
    }

    /// One look, in which each source gives its answer; `None` is a failure.
    fn look(&mut self, seconds: i64, answers: &[Option<u8>]) -> Outcome {
        let answers: Vec<_> =
            answers.iter().map(|answer| answer.map(ip).ok_or(LookError::TimedOut)).collect();
        self.hear(seconds, &answers)
    }

    fn hear(&mut self, seconds: i64, answers: &[Result<IpAddr, LookError>]) -> Outcome {
        self.watch.look_now(at(seconds));
        self.asked.clear();
        loop {
            let (index, _) = self.watch.next_source(at(seconds)).expect("it asks until it has concluded");
            self.asked.push(index);
            let answer = answers[index].clone();
            if let Some(outcome) = self.watch.heard(index, answer, at(seconds), &mut self.rng) {
                return outcome;
            }
        }
    }

    fn believes(&self) -> Option<IpAddr> {
        self.watch.believed().map(|believed| believed.address)
    }
}

fn dissent(source: &str, says: u8) -> Outcome {
    Outcome::Dissent { source: source.into(), says: ip(says) }
}

#[test]
fn what_a_source_said_is_forgotten_with_the_source() {
    let mut rig = Rig::new(&["a", "b"], 2);
    let said = ["a0", "https://b.example.org/?key=hunter2"].map(|label| (label.into(), ip(1)));
    rig.watch.remember(Believed { address: ip(1), confirmed_at: at(0), said: said.into() });
    let labels: Vec<&str> = rig.watch.believed().unwrap().said.keys().map(|label| &**label).collect();
    assert_eq!(labels, ["a0"]);
}

#[test]
fn the_first_address_needs_two_operators() {
    let mut rig = Rig::new(&["a", "b", "c"], 2);
    assert_eq!(rig.look(0, &[Some(1), Some(1), Some(1)]), Outcome::Changed { from: None, to: ip(1) });
    assert_eq!(rig.asked, [0, 1]);
}

#[test]
fn three_names_of_one_operator_are_one() {
    let mut rig = Rig::new(&["a", "a", "a", "b"], 2);
    rig.look(0, &[Some(1), Some(1), Some(1), Some(1)]);
    assert_eq!(rig.asked, [0, 3]);
    let mut alone = Rig::new(&["a", "a"], 2);
    assert_eq!(alone.look(0, &[Some(1), Some(1)]), Outcome::Changed { from: None, to: ip(1) });
}

#[test]
fn in_a_steady_state_one_source_is_asked() {
    let mut rig = Rig::new(&["a", "b", "c"], 2);
    rig.look(0, &[Some(1); 3]);
    for turn in 1..40 {
        assert_eq!(rig.look(turn * 300, &[Some(1); 3]), Outcome::Same);
        assert_eq!(rig.asked.len(), 1);
    }
}

#[test]
fn one_liar_changes_nothing() {
    let mut rig = Rig::new(&["a", "b", "c"], 2);
    rig.look(0, &[Some(1); 3]);
    assert_eq!(rig.look(300, &[Some(9), Some(1), Some(1)]), dissent("a0", 9));
    assert_eq!(rig.look(600, &[Some(9), Some(1), Some(1)]), Outcome::Same);
    assert_eq!(rig.asked, [1], "the liar no longer stands guard");
    assert_eq!(rig.believes(), Some(ip(1)));
}

#[test]
fn one_liar_alone_confirms_nothing() {
    let mut rig = Rig::new(&["a", "b", "c"], 2);
    rig.look(0, &[Some(1); 3]);
    rig.look(300, &[Some(9), Some(1), Some(1)]);
    assert!(matches!(rig.look(600, &[Some(9), None, None]), Outcome::Unconfirmed(_)));
    assert_eq!(rig.believes(), Some(ip(1)));
    assert_eq!(rig.watch.believed().unwrap().confirmed_at, at(300));
}

#[test]
fn a_change_that_only_one_can_say_is_not_believed() {
    let mut rig = Rig::new(&["a", "b", "c"], 2);
    rig.look(0, &[Some(1); 3]);
    assert!(matches!(rig.look(300, &[Some(2), None, None]), Outcome::Unconfirmed(heard) if heard.len() == 3));
    assert_eq!(rig.believes(), Some(ip(1)));
    assert!(matches!(rig.look(600, &[Some(2), Some(3), Some(4)]), Outcome::Unconfirmed(_)));
    assert_eq!(rig.believes(), Some(ip(1)));
    assert_eq!(rig.look(900, &[Some(2), Some(2), None]), Outcome::Changed { from: Some(ip(1)), to: ip(2) });
}

#[test]
fn after_failures_it_looks_again_soon_and_then_in_the_period() {
    let mut rig = Rig::new(&["a"], 1);
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..5 {
        let _ = rig.watch.next_source(at(now)).unwrap();
        let outcome = rig.watch.heard(0, Err(LookError::TimedOut), at(now), &mut rig.rng);
        assert!(matches!(outcome, Some(Outcome::Silence(_))));
        let next = rig.watch.wants_at().unwrap();
        waits.push(at(now).until(next).as_secs_f64());
        now = next.as_millis() / 1000 + 1;
    }
    for (wait, most) in waits.iter().zip([5.0, 15.0, 60.0, 300.0, 300.0]) {
        assert!(*wait <= most && *wait >= most * 0.9, "{waits:?}");
    }
}

#[test]
fn a_dead_source_is_asked_last() {
    let mut rig = Rig::new(&["a", "b", "c"], 2);
    rig.look(0, &[None, Some(1), Some(1)]);
    assert_eq!(rig.asked, [0, 1, 2]);
    rig.look(30, &[None, Some(1), Some(1)]);
    assert_eq!(rig.asked, [1]);
}

#[test]
fn an_address_that_returns_twice_is_held_and_the_look_that_ends_it_comes_then() {
    let mut rig = Rig::new(&["a", "b"], 2);
    for (seconds, address) in [(0, 1), (60, 2), (120, 1)] {
        assert!(matches!(rig.look(seconds, &[Some(address); 2]), Outcome::Changed { .. }), "at {seconds}");
    }
    let held = rig.look(180, &[Some(2); 2]);
    assert_eq!(held, Outcome::Held { address: ip(2), until: at(780) });
    assert_eq!((rig.believes(), rig.watch.hold_until()), (Some(ip(1)), Some(at(780))));
    assert_eq!(rig.look(700, &[Some(1); 2]), Outcome::Same);
    assert_eq!(rig.watch.wants_at(), Some(at(780)), "and not after the period");
    assert_eq!(rig.look(780, &[Some(2); 2]), Outcome::Changed { from: Some(ip(1)), to: ip(2) });
    assert_eq!(rig.watch.hold_until(), None);
}

#[test]
fn a_suspicion_is_an_answer_that_differs_and_no_mere_look() {
    let mut rig = Rig::new(&["a", "b"], 2);
    rig.look(0, &[Some(1); 2]);
    rig.watch.look_now(at(60));
    let (first, _) = rig.watch.next_source(at(60)).unwrap();
    assert!(rig.watch.is_looking() && !rig.watch.is_suspicious());
    assert_eq!(rig.watch.heard(first, Ok(ip(2)), at(60), &mut rig.rng), None);
    assert!(rig.watch.is_suspicious());
}

#[test]
fn a_flapping_address_is_published_a_few_times_an_hour_at_most() {
    let mut rig = Rig::new(&["a", "b"], 2);
    let mut changes = 0;
    for minute in 0..(24 * 60) {
        let address = Some(1 + u8::try_from(minute % 2).unwrap());
        if let Outcome::Changed { .. } = rig.look(minute * 60, &[address; 2]) {
            changes += 1;
        }
    }
    assert!((3..=60).contains(&changes), "{changes} in a day");
}

#[test]
fn a_trace_is_asked_before_anything_new_is_believed_and_before_nothing_else() {
    let mut rig = Rig::new(&["a", "b", "trace"], 2);
    rig.look(0, &[Some(1); 3]);
    assert_eq!(rig.asked, [0, 1, 2]);
    rig.look(300, &[Some(1); 3]);
    assert_eq!(rig.asked, [0]);
    let exit = [Ok(ip(9)), Ok(ip(9)), Err(LookError::Warp(ip(9)))];
    assert_eq!(rig.hear(600, &exit), Outcome::Tunnelled(ip(9)));
    rig.look(900, &[Some(1), Some(1), None]);
    assert!(rig.watch.holds().tunnelled && rig.asked[0] == 2, "it is the one that can lift the veto");
    assert_eq!(rig.look(1200, &[Some(2), Some(2), None]), Outcome::Tunnelled(ip(2)));
    assert!(matches!(rig.look(1500, &[Some(2); 3]), Outcome::Changed { .. }));
}

#[test]
fn of_two_addresses_that_enough_say_the_believed_one_stays() {
    let mut rig = Rig::new(&["a", "trace"], 1);
    rig.look(0, &[Some(1); 2]);
    assert_eq!(rig.look(300, &[Some(9), Some(1)]), dissent("a0", 9));
}

#[test]
fn a_family_that_is_missing_is_not_asked_for_until_it_is_back() {
    let mut rig = Rig::new(&["a", "b"], 2);
    let (first, _) = rig.watch.next_source(at(0)).unwrap();
    rig.watch.suspend();
    assert_eq!(rig.watch.heard(first, Ok(ip(1)), at(1), &mut rig.rng), None);
    rig.watch.look_now(at(2));
    assert_eq!(rig.watch.next_source(at(2)), None);
    assert_eq!(rig.watch.wants_at(), None);
    assert!(rig.watch.has_concluded());
    rig.watch.resume(at(60));
    assert!(matches!(rig.look(60, &[Some(1); 2]), Outcome::Changed { .. }));
}

proptest! {
    /// However hints come, and however long sources take: the first of a burst is followed at once, none is
    /// lost, and two looks that hints bring about are three seconds apart or more.
    #[test]
    fn hints_bring_about_twenty_looks_a_minute_at_most(
        waits in prop::collection::vec(0_i64..80, 1..80),
        takes in 1_i64..50,
    ) {
        let mut rig = Rig::new(&["a", "b"], 1);
        rig.look(0, &[Some(1); 2]);
        let tick = |tick: i64| Moment::from_millis(tick * 100);
        let hints: BTreeSet<i64> = waits.iter().scan(100, |at, wait| { *at += wait; Some(*at) }).collect();
        let last = *hints.last().unwrap();
        let (mut began, mut ends) = (0, None);
        for now in 100..last + 100 {
            if hints.contains(&now) {
                rig.watch.hint(tick(now));
                let calm = ends.is_none() && now - began >= 30;
                prop_assert!(!calm || rig.watch.wants_at() <= Some(tick(now)));
            }
            if let Some((_, index)) = ends.take_if(|(end, _)| *end == now) {
                let _ = rig.watch.heard(index, Ok(ip(1)), tick(now), &mut rig.rng);
            }
            if let Some((index, _)) = rig.watch.next_source(tick(now)) {
                prop_assert!(now - began >= 30, "{began} and {now}");
                (began, ends) = (now, Some((now + takes, index)));
            }
        }
        prop_assert!(began >= last, "the last hint is followed");
    }

    /// Whoever agrees, in whatever order they are asked: while the last trace that was heard is of a tunnel,
    /// and in a look in which no trace was asked, nothing new is believed.
    #[test]
    fn nothing_is_believed_against_a_trace(
        looks in prop::collection::vec(prop::collection::vec((0_u8..4, prop::bool::weighted(0.3)), 4), 1..40),
        agree in 1_usize..4,
        places in Just(["a", "b", "trace", "trace2"]).prop_shuffle(),
    ) {
        let mut rig = Rig::new(&places, agree);
        let is_trace = |index: &usize| places[*index].starts_with("trace");
        let mut tunnelled = false;
        for (turn, answers) in looks.iter().enumerate() {
            let before = rig.believes();
            let answer = |(index, (address, warp)): (usize, &(u8, bool))| match (address, warp) {
                (0, _) => Err(LookError::TimedOut),
                (address, true) if is_trace(&index) => Err(LookError::Warp(ip(*address))),
                (address, _) => Ok(ip(*address)),
            };
            let answers: Vec<_> = answers.iter().enumerate().map(answer).collect();
            rig.hear(i64::try_from(turn).unwrap() * 4000, &answers);
            let traces: Vec<usize> = rig.asked.iter().copied().filter(is_trace).collect();
            for trace in &traces {
                match answers[*trace] {
                    Ok(_) => tunnelled = false,
                    Err(LookError::Warp(_)) => tunnelled = true,
                    Err(_) => {}
                }
            }
            prop_assert!(rig.believes() == before || !tunnelled && !traces.is_empty());
        }
    }

    /// Whatever each source says or fails to say, an address that fewer operators than needed
    /// say in that very look is never believed.
    #[test]
    fn nothing_is_believed_that_too_few_say(
        looks in prop::collection::vec(prop::collection::vec(prop::option::of(1_u8..4), 4), 1..40),
        agree in 1_usize..4,
    ) {
        let operators = ["a", "a", "b", "c"];
        let mut rig = Rig::new(&operators, agree);
        for (turn, answers) in looks.iter().enumerate() {
            let before = rig.believes();
            rig.look(i64::try_from(turn).unwrap() * 300, answers);
            let Some(now) = rig.believes() else { continue };
            if before == Some(now) {
                continue;
            }
            let mut say: Vec<_> = (0..4).filter(|i| answers[*i].map(ip) == Some(now)).map(|i| operators[i]).collect();
            say.dedup();
            prop_assert!(say.len() >= agree, "{now} was said by {say:?}");
        }
    }
}
