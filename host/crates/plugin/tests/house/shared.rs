//! What plugins share through the host: stores, limiters, secrets.

use crate::harness::{House, guest_with, lines, load_declared, request, told};
use gatelodge_plugin::{Declared, Isolation, LimiterSettings, PluginSettings, Secrets, StoreSettings, WhenFull};
use wire::exchange::Credential;
use wire::ports::Step;

const SECRET: &[u8] = b"Jefe-hunter2-correct-horse";
/// HMAC-SHA-256 under it of the message that the guest signs.
const SIGNED: &str = "258a2f89873045dfed3ff94a5be941b9856a353a9db691406d9aa9ffa9e2aa53";

fn declared() -> Declared {
    let mut secrets = Secrets::new();
    secrets.insert("signing", SECRET.to_vec()).expect("a secret");
    secrets.insert("broken", b"line\nline".to_vec()).expect("a secret");
    secrets.insert("large", vec![b'x'; 20 * 1024]).expect("a secret");
    let store = StoreSettings { bytes_max: 4 << 20, when_full: WhenFull::Refuse };
    let limiter = LimiterSettings { per_ms: 86_400_000, burst: 3, ..LimiterSettings::new(1) };
    Declared {
        stores: [("things".to_owned(), store)].into(),
        limiters: [("api".to_owned(), limiter)].into(),
        secrets,
        ..Declared::default()
    }
}

fn granted(name: &str, isolation: Isolation) -> PluginSettings {
    guest_with(name, |settings| {
        let list = |text: &str| vec![text.to_owned()];
        settings.isolation = isolation;
        match name {
            "stores" | "needs-kv" => settings.names.state = list("things"),
            "limits" | "needs-rate-limit" => settings.names.limits = list("api"),
            "needs-secrets" => settings.names.secrets = list("thing"),
            _ => settings.names.keys = vec!["signing".to_owned(), "broken".to_owned(), "large".to_owned()],
        }
    })
}

fn house(name: &str, isolation: Isolation, declared: &Declared) -> House {
    load_declared(vec![granted(name, isolation)], declared.clone())
        .unwrap_or_else(|errors| panic!("does not load: {errors:?}"))
}

/// What the guest `stores` told about a command.
fn done(house: &House, command: &str) -> String {
    let (exchange, step) = house.way_in(request("/", &[("x-do", command)]));
    assert!(matches!(step, Step::Continue), "{command}: {}", told(&step));
    lines(&exchange, "x-result").join("|")
}

#[test]
fn stores() {
    for isolation in [Isolation::Instance, Isolation::Request] {
        let house = house("stores", isolation, &declared());
        for (command, expected) in [
            ("get a", "Ok(None)"),
            ("version a", "Ok(0)"),
            ("set-if a one 7", "Err(Failure::Conflict)"),
            ("set-if a one 0", "Ok(())"),
            ("set-if a one 0", "Err(Failure::Conflict)"),
            ("get a", "Ok(Some(\"one\"))"),
            ("append a +two", "Ok(())"),
            ("get a", "Ok(Some(\"one+two\"))"),
            ("add a 1", "Err(Failure::Invalid(\"the value is no decimal number of 64 bits\"))"),
            ("add n -3", "Ok(-3)"),
            ("add n 5", "Ok(2)"),
            ("add n 9223372036854775807", "Err(Failure::Invalid(\"the sum does not fit into 64 bits\"))"),
            ("get n", "Ok(Some(\"2\"))"),
            ("set a x 0", "Err(Failure::Invalid(\"ttl-ms is at least 1\"))"),
            ("set a x 18446744073709551615", "Ok(())"),
            ("delete a", "Ok(())"),
            ("delete a", "Ok(())"),
            ("get a", "Ok(None)"),
            ("sizes 4096 1048576", "true"),
            ("sizes 4097 1", "false"),
            ("sizes 1 1048577", "false"),
        ] {
            assert_eq!(done(&house, command), expected, "{command} with {isolation:?}");
        }
        assert_eq!(house.metrics.faults(), []);
    }
}

#[test]
fn hostile_sizes_cost_one_request() {
    for isolation in [Isolation::Instance, Isolation::Request] {
        let declared = declared();
        let house = house("stores", isolation, &declared);
        // More than one call may hand over: the host takes no byte of it.
        let (_, step) = house.way_in(request("/", &[("x-do", "sizes 65537 9000000")]));
        assert!(told(&step).starts_with("fault bad-output of stores"), "{}", told(&step));
        assert_eq!(done(&house, "get a"), "Ok(None)", "the next request is served");
        assert!(declared.registry.usage()[0].bytes < 4096);
    }
}

#[test]
fn a_full_store_refuses_and_stays_whole() {
    let declared = declared();
    let house = house("stores", Isolation::Instance, &declared);
    let fits: Vec<bool> = (0..6).map(|n| done(&house, &format!("sizes {} 1000000", 10 + n)) == "true").collect();
    assert_eq!(fits, [true, true, true, true, false, false]);
    let usage = declared.registry.usage();
    assert!(usage[0].bytes <= usage[0].bytes_max && usage[0].evicted == 0, "{usage:?}");
    assert_eq!(done(&house, "set small 1"), "true", "what fits, fits");
}

#[test]
fn instances_workers_and_generations_see_the_same() {
    let declared = declared();
    let first = house("stores", Isolation::Instance, &declared);
    assert_eq!(done(&first, "cached a"), "(Ok(None), 0)");
    assert_eq!(done(&first, "set a one"), "true");
    assert_eq!(done(&first, "cached a"), "(Ok(Some(\"one\")), 1)");
    assert_eq!(done(&first, "cached a"), "(Ok(Some(\"one\")), 1)", "not parsed again");
    let next = house("stores", Isolation::Request, &declared);
    assert_eq!(done(&next, "append a +two"), "Ok(())");
    assert_eq!(done(&first, "cached a"), "(Ok(Some(\"one+two\")), 2)");
    drop(first);
    assert_eq!(done(&next, "get a"), "Ok(Some(\"one+two\"))", "a reload loses nothing");
    assert_eq!(done(&next, "delete a"), "Ok(())");
    assert_eq!(done(&next, "cached a"), "(Ok(None), 0)");
    drop(next);
    assert_eq!(declared.registry.usage(), [], "without users its memory goes back");
}

#[test]
fn denials_name_the_line() {
    let house = house("stores", Isolation::Instance, &declared());
    for _ in 0..20 {
        assert_eq!(done(&house, "other theirs"), "Err(Failure::Denied)");
    }
    let told = house.lines();
    assert_eq!(told.len(), 16, "and no flood of it");
    assert!(told[0].contains("[plugin.grants] state = [\"theirs\"]"), "{}", told[0]);
    assert_eq!(house.metrics.faults(), []);
}

#[test]
fn limits() {
    for isolation in [Isolation::Instance, Isolation::Request] {
        let declared = declared();
        let house = house("limits", isolation, &declared);
        let other = self::house("limits", isolation, &declared);
        let take = |house: &House, fields: &[(&str, &str)]| {
            let (exchange, step) = house.way_in(request("/", fields));
            match step {
                Step::Continue => lines(&exchange, "x-left").join("|"),
                step => told(&step).trim_end().to_owned(),
            }
        };
        assert_eq!(take(&house, &[("x-key", "a")]), "2");
        assert_eq!(take(&other, &[("x-key", "a")]), "1", "one bucket for all workers and generations");
        assert_eq!(take(&house, &[("x-key", "a"), ("x-cost", "0")]), "1", "a look takes nothing");
        assert_eq!(take(&house, &[("x-key", "a"), ("x-cost", "2")]), "answer 429 by limits: 1 of 3");
        assert_eq!(take(&house, &[("x-key", "a")]), "0");
        assert_eq!(take(&house, &[("x-key", "b"), ("x-cost", "3")]), "0");
        assert_eq!(take(&house, &[("x-key", "c"), ("x-cost", "4")]), "answer 500 by limits: Failure::TooLarge");
        assert_eq!(take(&house, &[("x-bytes", "65536")]), "2");
        assert_eq!(take(&house, &[("x-bytes", "65537")]), "answer 500 by limits: Failure::TooLarge");
        assert_eq!(take(&house, &[("x-limiter", "none")]), "answer 500 by limits: Failure::Denied");
        assert!(house.lines().iter().any(|line| line.contains("[plugin.grants] limits = [\"none\"]")));
    }
}

#[test]
fn uses_keys() {
    for isolation in [Isolation::Instance, Isolation::Request] {
        let house = house("uses-keys", isolation, &declared());
        let done = |fields: &[(&str, &str)]| {
            let (exchange, step) = house.way_in(request("/", fields));
            assert!(matches!(step, Step::Continue), "{}", told(&step));
            (lines(&exchange, "x-result").join("|"), exchange)
        };
        assert_eq!(done(&[("x-sign", "signing")]).0, SIGNED);
        assert_eq!(done(&[("x-sign", "other")]).0, "Failure::Denied");
        let (answer, exchange) = done(&[("x-stored", "signing")]);
        assert_eq!(answer, "Ok(())");
        let Credential::Field(name, value) = &exchange.shared.credential else { panic!("no credential") };
        assert_eq!((name.as_str(), value.as_bytes()), ("authorization", &[b"Bearer ", SECRET].concat()[..]));
        assert!(value.is_sensitive());
        let (answer, exchange) = done(&[("x-field", "X-Api-Key"), ("x-secret", "signing")]);
        assert_eq!(answer, "Ok(())");
        let Credential::Field(name, value) = &exchange.shared.credential else { panic!("no credential") };
        assert_eq!((name.as_str(), value.as_bytes()), ("x-api-key", SECRET));
        for (fields, word) in [
            ([("x-field", "Host"), ("x-secret", "signing")], "the host writes it"),
            ([("x-field", "x-a"), ("x-secret", "broken")], "no header may carry"),
            ([("x-field", "x-a"), ("x-secret", "large")], "TooLarge"),
            ([("x-field", "x-a"), ("x-secret", "other")], "Denied"),
        ] {
            let (answer, exchange) = done(&fields);
            assert!(answer.contains(word), "{answer}");
            assert!(matches!(exchange.shared.credential, Credential::Original), "{word}");
        }
    }
}

#[test]
fn needs_secrets() {
    let mut declared = declared();
    declared.secrets.insert("thing", b"12345".to_vec()).expect("a secret");
    let house = house("needs-secrets", Isolation::Instance, &declared);
    let (_, step) = house.way_in(request("/", &[]));
    assert_eq!(told(&step), "answer 200 by needs-secrets: Ok(5)\n");
}

#[test]
fn no_output_holds_a_secret() {
    let house = house("uses-keys", Isolation::Instance, &declared());
    let mut all = String::new();
    for fields in [
        &[("x-sign", "signing")][..],
        &[("x-stored", "signing")],
        &[("x-field", "x-a"), ("x-secret", "broken")],
        &[("x-field", "x a"), ("x-secret", "signing")],
        &[("x-sign", "no such")],
        &[],
    ] {
        let (exchange, step) = house.way_in(request("/", fields));
        all += &format!("{}\n{:?}\n", told(&step), exchange.request.headers);
        if let Credential::Field(_, value) = &exchange.shared.credential {
            all += &format!("{value:?}\n");
        }
    }
    all += &house.lines().join("\n");
    all += &format!("{:?}", house.ears.faults.lock().expect("no test panics with it"));
    let refused = load_declared(vec![granted("needs-secrets", Isolation::Instance)], declared()).err();
    all += &format!("{:?}", refused.expect("it is not declared"));
    assert!(all.contains("nothing to do") && all.contains("Sensitive"), "the search looks at what was told: {all}");
    for secret in [&SECRET[5..], b"line\nline", b"line\\nline"] {
        let secret = std::str::from_utf8(secret).expect("text");
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[test]
fn workers_race_for_one_number() {
    let declared = declared();
    let reader = house("stores", Isolation::Instance, &declared);
    std::thread::scope(|scope| {
        for isolation in [Isolation::Instance, Isolation::Request] {
            let declared = &declared;
            scope.spawn(move || {
                let house = house("stores", isolation, declared);
                for _ in 0..500 {
                    assert!(done(&house, "add sum 1").starts_with("Ok("));
                    assert_eq!(done(&house, "append text x"), "Ok(())");
                }
            });
        }
    });
    assert_eq!(done(&reader, "get sum"), "Ok(Some(\"1000\"))");
    assert_eq!(done(&reader, "get text"), format!("Ok(Some(\"{}\"))", "x".repeat(1000)));
}
