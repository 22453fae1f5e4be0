//! Timers: ticks in the background, one instance of the whole node.

use crate::harness::{House, guest_with, lines, load_declared, request};
use gatelodge_plugin::{Declared, FaultCount, Isolation, LoadError, PluginSettings, StoreSettings, TickCount, Timers};
use std::time::{Duration, Instant};
use wire::fault::PluginFault;

/// Longest wait for something that happens at once.
const LONG: Duration = Duration::from_secs(30);

fn declared() -> Declared {
    Declared { stores: [("things".to_owned(), StoreSettings::default())].into(), ..Declared::default() }
}

fn ticks(config: &str, change: impl FnOnce(&mut PluginSettings)) -> PluginSettings {
    guest_with("ticks", |settings| {
        settings.names.state = vec!["things".to_owned()];
        settings.config_json = config.to_owned();
        change(settings);
    })
}

/// The guest with a timer, and beside it one that reads the store as a worker does.
fn load(settings: PluginSettings, declared: &Declared) -> Result<House, Vec<LoadError>> {
    let reader = guest_with("stores", |settings| settings.names.state = vec!["things".to_owned()]);
    load_declared(vec![settings, reader], declared.clone())
}

fn house(settings: PluginSettings, declared: &Declared) -> House {
    load(settings, declared).unwrap_or_else(|errors| panic!("does not load: {errors:?}"))
}

fn started(house: &House) -> Timers {
    let timers = Timers::new();
    timers.switch(&house.chain);
    timers
}

/// What the guest `stores` sees.
fn seen(house: &House, command: &str) -> String {
    let (exchange, _) = house.way_in(request("/", &[("x-do", command)]));
    lines(&exchange, "x-result").join("|")
}

fn number(house: &House, key: &str) -> u64 {
    let text = seen(house, &format!("get {key}"));
    text.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap_or(0)
}

/// Waits until something has happened.
fn until(what: &str, happened: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !happened() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn counted(house: &House) -> TickCount {
    let none = || TickCount { plugin: "ticks".to_owned(), begun: 0, skipped: 0 };
    house.metrics.ticks().pop().unwrap_or_else(none)
}

#[test]
fn a_timer_ticks_and_workers_see_it() {
    for (isolation, keeps) in [(Isolation::Instance, true), (Isolation::Request, false)] {
        let declared = declared();
        let house = house(ticks("{}", |settings| settings.isolation = isolation), &declared);
        assert_eq!(seen(&house, "get ticks"), "Ok(None)", "nothing runs before its generation serves");
        let timers = started(&house);
        until("four ticks", || number(&house, "ticks") >= 4);
        assert_eq!(number(&house, "own") > 1, keeps, "its memory stays with isolation {isolation:?}");
        assert!(timers.stop(LONG));
        let TickCount { plugin, begun, .. } = counted(&house);
        assert_eq!((plugin.as_str(), begun), ("ticks", number(&house, "ticks")), "none after the stop, all counted");
        assert_eq!(house.metrics.faults(), []);
    }
}

#[test]
fn the_first_tick_is_at_once() {
    let declared = declared();
    // The second is due in 49 days.
    let house = house(ticks("{\"every\":4294967295}", |_| {}), &declared);
    let timers = started(&house);
    until("a tick", || number(&house, "ticks") == 1);
    assert!(timers.stop(LONG));
}

#[test]
fn no_exchange_is_there_in_a_tick() {
    let declared = declared();
    let house = house(ticks("{\"act\":\"look\"}", |_| {}), &declared);
    let _timers = started(&house);
    until("a look", || seen(&house, "get looked") != "Ok(None)");
    assert_eq!(seen(&house, "get looked"), "Ok(Some(\"denied 8 of 8, nobody true\"))");
    assert_eq!(house.metrics.faults(), []);
}

#[test]
fn late_ticks_are_skipped_and_counted() {
    let declared = declared();
    let house = house(ticks("{\"act\":\"hold\"}", |_| {}), &declared);
    assert_eq!(seen(&house, "set hold x"), "true");
    let timers = started(&house);
    until("a tick", || number(&house, "ticks") == 1);
    let began = Instant::now();
    until("ten ticks are due", || began.elapsed() > Duration::from_millis(100));
    assert_eq!(number(&house, "ticks"), 1, "never two at a time");
    assert_eq!(seen(&house, "delete hold"), "Ok(())");
    until("the next ticks", || number(&house, "ticks") > 3);
    assert!(timers.stop(LONG));
    let counts = counted(&house);
    assert!(counts.skipped >= 9 && counts.begun == number(&house, "ticks"), "{counts:?}");
}

#[test]
fn one_fault_costs_one_tick() {
    for (act, kind) in [("trap-second", PluginFault::Trap), ("loop-second", PluginFault::Deadline)] {
        let declared = declared();
        let config = format!("{{\"act\":\"{act}\"}}");
        let house = house(ticks(&config, |settings| settings.deadline = Duration::from_millis(500)), &declared);
        let timers = started(&house);
        until("later ticks", || number(&house, "ticks") >= 4);
        assert!(timers.stop(LONG));
        assert_eq!(house.metrics.faults(), [FaultCount { plugin: "ticks".to_owned(), kind, count: 1 }]);
        assert!(number(&house, "own") < number(&house, "ticks"), "in another instance");
        let told = house.ears.faults.lock().expect("no test panics with it");
        assert!(told[0].2.contains("hook timer"), "{told:?}");
    }
}

#[test]
fn a_storm_of_faults_backs_off() {
    let declared = declared();
    let house = house(ticks("{\"act\":\"trap\"}", |_| {}), &declared);
    let _timers = started(&house);
    until("a pause", || counted(&house).skipped > 50);
    let faults = house.metrics.faults()[0].count;
    assert_eq!((faults, counted(&house).begun), (5, 5), "a pause of a second makes no further fault");
    assert_eq!(seen(&house, "set a b"), "true", "requests go on");
}

/// The tick after the pause is the one that decides.
#[test]
fn a_timer_recovers_after_a_storm() {
    let declared = declared();
    let house = house(ticks("{\"act\":\"trap-five\"}", |_| {}), &declared);
    let timers = started(&house);
    until("ticks after the pause", || number(&house, "ticks") >= 8);
    assert!(timers.stop(LONG));
    assert_eq!(house.metrics.faults()[0].count, 5);
    assert_eq!(house.metrics.held_back(), [], "ticks are left out before they are asked for");
    let told = house.lines();
    assert!(told.iter().any(|line| line.starts_with("it works again")), "{told:?}");
}

#[test]
fn a_reload_ends_the_old_timer_before_the_new_one_begins() {
    let declared = declared();
    let first = house(ticks("{\"generation\":\"one\",\"act\":\"hold\"}", |_| {}), &declared);
    let second = house(ticks("{\"generation\":\"two\"}", |_| {}), &declared);
    assert_eq!(seen(&first, "set hold x"), "true");
    let timers = started(&first);
    until("the old one ticks", || first.lines().iter().any(|line| line == "begin one"));
    timers.switch(&second.chain);
    timers.switch(&second.chain);
    // A new timer that did not wait would tick now.
    let began = Instant::now();
    until("the new ones had time", || began.elapsed() > Duration::from_millis(50));
    assert_eq!(second.lines(), Vec::<String>::new());
    assert_eq!(seen(&first, "delete hold"), "Ok(())");
    until("the new one ticks", || second.lines().len() >= 4);
    assert_eq!(first.lines(), ["begin one", "end one Ok(())"], "it got no further tick");
    assert!(timers.stop(LONG));
    for pair in second.lines().chunks(2) {
        assert_eq!(pair, ["begin two", "end two Ok(())"], "never two at a time");
    }
    let begun = counted(&second).begun;
    assert_eq!(begun * 2, second.lines().len() as u64);
    timers.switch(&first.chain);
    assert_eq!((counted(&first).begun, counted(&second).begun), (1, begun), "nothing starts after the stop");
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let declared = declared();
    let house = house(ticks("{\"act\":\"hold\"}", |_| {}), &declared);
    assert_eq!(seen(&house, "set hold x"), "true");
    let timers = started(&house);
    until("a tick", || number(&house, "ticks") == 1);
    assert!(!timers.stop(Duration::from_millis(1)));
    assert_eq!(seen(&house, "delete hold"), "Ok(())");
    until("its last tick ends", || house.lines().iter().any(|line| line.starts_with("end")));
}

#[test]
fn timers_that_would_never_run_are_refused() {
    for (config, word) in [("{\"every\":0}", "it would never run"), ("{\"every\":9}", "at least 10")] {
        let errors = load(ticks(config, |_| {}), &declared()).err().expect("refused");
        assert!(errors[0].message.contains("registration.tick-ms") && errors[0].message.contains(word), "{errors:?}");
    }
}
