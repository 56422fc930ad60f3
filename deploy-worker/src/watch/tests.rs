use super::*;
use deploy_core::{ChangeKind, Ended};
use uuid::Uuid;

const PACE: Pace = Pace { first: Duration::from_millis(50), longest: Duration::from_secs(2) };
const PATIENCE: Duration = Duration::from_secs(5);

fn place(cluster: &str) -> Place {
    Place { cluster: cluster.parse().unwrap(), node: "n1".parse().unwrap() }
}

/// Work that may be done at once.
fn work(cluster: &str) -> Work {
    Work { place: place(cluster), kind: ChangeKind::Resize, storage: None, other: None }
}

fn task(number: u32) -> TaskId {
    format!("UPID:{number}").parse().unwrap()
}

fn key(number: u32) -> VmKey {
    VmKey(Uuid::from_u128(u128::from(number)))
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Answers the only question that is due with these states.
fn answer(watch: &mut TaskWatch, now: Instant, state: impl Fn(&TaskId) -> TaskState) -> Vec<VmKey> {
    let mut questions = watch.due(now);
    assert_eq!(questions.len(), 1);
    let question = questions.remove(0);
    let states = question.tasks.iter().map(state).collect();
    watch.answer(question, states, Duration::ZERO, now).into_iter().map(|(key, _)| key).collect()
}

fn running(_: &TaskId) -> TaskState {
    TaskState::Running
}

fn unknown(_: &TaskId) -> TaskState {
    TaskState::Unknown("no answer".to_owned())
}

#[test]
fn a_task_is_asked_about_quickly_then_slowly() {
    let start = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    watch.watch(work("c1"), false, task(1), key(1), start);
    let mut asked = Vec::new();
    while asked.len() < 9 {
        let now = watch.next().unwrap();
        asked.push((now - start).as_millis());
        answer(&mut watch, now, running);
    }
    assert_eq!(asked, [50, 100, 200, 400, 680, 960, 1240, 1520, 1800]);
}

#[test]
fn what_takes_long_is_asked_about_rarely() {
    let start = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    watch.watch(work("c1"), false, task(1), key(1), start);
    answer(&mut watch, start + ms(10_000), running);
    assert_eq!(watch.next(), Some(start + ms(10_800)));
    answer(&mut watch, start + ms(600_000), running);
    assert_eq!(watch.next(), Some(start + ms(602_000)));
}

/// The first question comes when the end is possible.
#[test]
fn what_tasks_usually_take_is_learned() {
    let start = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    let clone = || Work { kind: ChangeKind::Clone, ..work("c1") };
    watch.watch(clone(), false, task(1), key(1), start);
    assert_eq!(watch.next(), Some(start + ms(700)), "nothing is known yet");
    let ended = |_: &TaskId| TaskState::Ended(Ended::Ok);
    assert_eq!(answer(&mut watch, start + ms(4_000), ended), [key(1)]);
    watch.watch(clone(), false, task(2), key(2), start);
    assert_eq!(watch.next(), Some(start + ms(2_400)), "of 4 s, two times a fifth before");
    // Others ride along without being asked sooner again.
    watch.watch(work("c1"), false, task(3), key(3), start);
    assert_eq!(answer(&mut watch, start + ms(50), running), []);
    watch.forget(&place("c1"), &task(3));
    assert_eq!(watch.due(start + ms(2_399)), []);
    // Neither a failure nor a task that began before we came says how long it takes.
    let failed = |_: &TaskId| TaskState::Ended(Ended::Lost("killed".to_owned()));
    assert_eq!(answer(&mut watch, start + ms(2_400), failed), [key(2)]);
    watch.watch(clone(), true, task(4), key(4), start);
    assert_eq!(watch.next(), Some(start + ms(50)));
    assert_eq!(answer(&mut watch, start + ms(1_000), ended), [key(4)]);
    watch.watch(clone(), false, task(5), key(5), start);
    assert_eq!(watch.next(), Some(start + ms(2_400)));
    // However long they took, the next one may fail at once.
    let migrate = || Work { kind: ChangeKind::Migrate, ..work("c2") };
    watch.watch(migrate(), false, task(6), key(6), start);
    watch.forget(&place("c1"), &task(5));
    assert_eq!(answer(&mut watch, start + ms(3_600_000), ended), [key(6)]);
    watch.watch(migrate(), false, task(7), key(7), start);
    assert_eq!(watch.next(), Some(start + ms(5_000)));
}

#[test]
fn one_question_carries_all_tasks_of_a_node() {
    let start = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    for number in 0..100 {
        watch.watch(work("c1"), false, task(number), key(number), start + ms(number.into()));
    }
    watch.watch(work("c2"), false, task(500), key(500), start);
    let mut questions = watch.due(start + ms(60));
    questions.sort_by_key(|question| question.tasks.len());
    let asked: Vec<_> = questions.iter().map(|q| (q.cluster().as_str(), q.tasks.len())).collect();
    assert_eq!(asked, [("c2", 1), ("c1", 100)]);
    assert!(watch.due(start + ms(10_000)).is_empty(), "one question at a time");
    assert_eq!(watch.next(), None);
}

#[test]
fn who_waits_is_told_once_when_the_task_ends() {
    let now = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    watch.watch(work("c1"), false, task(1), key(1), now);
    watch.watch(work("c1"), false, task(2), key(2), now);
    let ended = |id: &TaskId| if *id == task(2) { TaskState::Ended(Ended::Ok) } else { TaskState::Running };
    assert_eq!(answer(&mut watch, now + ms(50), ended), [key(2)]);
    assert_eq!(answer(&mut watch, now + ms(190), ended), []);
}

#[test]
fn who_waits_is_told_when_nobody_has_known_for_a_while() {
    let start = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    watch.watch(work("c1"), false, task(1), key(1), start);
    let mut asked = Vec::new();
    loop {
        let now = watch.next().unwrap();
        asked.push((now - start).as_millis());
        // What is known again in between begins a new while.
        let state = if asked.len() == 3 { running } else { unknown };
        let told = answer(&mut watch, now, state);
        if !told.is_empty() {
            assert_eq!(told, [key(1)]);
            break;
        }
    }
    assert_eq!(asked, [50, 2050, 4050, 4374, 6374, 8374, 10_374]);
    assert_eq!(watch.next(), None, "it is not watched any more");
}

#[test]
fn a_question_that_hung_was_patience_enough() {
    let now = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    watch.watch(work("c1"), false, task(1), key(1), now);
    let question = watch.due(now + ms(50)).remove(0);
    let why = TaskState::Unknown("no answer within 60 s".to_owned());
    let told = watch.answer(question, vec![why.clone()], ms(60_000), now + ms(60_050));
    assert_eq!(told, [(key(1), why)]);
}

#[test]
fn without_patience_the_first_answer_is_told() {
    let now = Instant::now();
    let mut watch = TaskWatch::new(PACE, Duration::ZERO);
    watch.watch(work("c1"), false, task(1), key(1), now);
    assert_eq!(answer(&mut watch, now + ms(50), running), []);
    assert_eq!(answer(&mut watch, now + ms(100), unknown), [key(1)]);
}

#[test]
fn a_task_of_a_node_that_is_away_does_not_slow_the_others() {
    let start = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    watch.watch(work("c1"), false, task(1), key(1), start);
    answer(&mut watch, start + ms(50), unknown);
    watch.watch(work("c1"), false, task(2), key(2), start + ms(50));
    assert_eq!(watch.due(start + ms(100)), [Question { place: place("c1"), tasks: vec![task(2)] }]);
}

#[test]
fn tasks_of_nodes_that_are_away_are_asked_about_together() {
    let start = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    for number in 0..3 {
        let now = start + ms(500 * u64::from(number));
        watch.watch(work("c1"), false, task(number), key(number), now);
        answer(&mut watch, now + ms(50), unknown);
    }
    let asked = watch.due(start + ms(2050)).remove(0).tasks.len();
    assert_eq!(asked, 3, "though only one of them is due");
}

#[test]
fn an_answer_that_leaves_tasks_out_says_nothing_about_them() {
    let now = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    watch.watch(work("c1"), false, task(1), key(1), now);
    let question = watch.due(now + ms(50)).remove(0);
    assert_eq!(watch.answer(question, Vec::new(), Duration::ZERO, now + ms(50)), []);
    assert!(watch.next().is_some());
}

#[test]
fn a_slow_node_is_left_in_peace() {
    let now = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    watch.watch(work("c1"), false, task(1), key(1), now);
    let question = watch.due(now + ms(50)).remove(0);
    watch.answer(question, vec![TaskState::Running], ms(500), now + ms(550));
    watch.watch(work("c1"), false, task(2), key(2), now + ms(550));
    assert_eq!(watch.next(), Some(now + ms(1550)));
}

#[test]
fn what_is_forgotten_is_not_asked_about() {
    let now = Instant::now();
    let mut watch = TaskWatch::new(PACE, PATIENCE);
    watch.watch(work("c1"), false, task(1), key(1), now);
    watch.watch(work("c1"), false, task(2), key(2), now + ms(1000));
    watch.forget(&place("c1"), &task(1));
    assert_eq!(watch.due(now + ms(500)), []);
    assert_eq!(watch.next(), Some(now + ms(1050)));
    watch.forget(&place("c1"), &task(2));
    assert_eq!(watch.next(), None);
}
