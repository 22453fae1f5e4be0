//! Bad and odd things to launch, from the file to the arguments.

use crate::harness::{House, PROBE};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use wire::StartFailure;

/// A file to launch, and what is told about it.
struct Case<'a> {
    path: &'a str,
    bytes: &'a [u8],
    mode: u32,
    told: &'a str,
}

#[tokio::test]
async fn files_that_cannot_run_are_explained() {
    // A header for RISC-V with nothing behind it.
    let foreign = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 9], &[2, 0, 243, 0], &[0; 44]].concat();
    let case = |path, bytes, mode, told| Case { path, bytes, mode, told };
    let cases = [
        case("plain", b"#!/bin/sh\n", 0o644, "chmod +x"),
        case("no-shebang", b"echo hello\n", 0o755, "put a line such as `#!/bin/sh` at its very beginning"),
        case("crlf", b"#!/bin/sh\r\necho\r\n", 0o755, "save the file with Unix line ends"),
        case("lost", b"#!/no/such/interpreter\n", 0o755, "\"/no/such/interpreter\", which is not there"),
        case("nothing", b"", 0o755, "the file is empty"),
        case("riscv", &foreign, 0o755, "built for another processor"),
    ];
    for Case { path, bytes, mode, told } in cases {
        let mut house = House::with("", |s| {
            let file = s.root.join(path);
            std::fs::write(&file, bytes).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            s.process_path = path.into();
        });
        let report = house.fail().await;
        assert_eq!(report.failure, StartFailure::NoProgram, "{path} {report:?}");
        assert!(report.summary.contains(told), "{path}: {}", report.summary);
        assert_eq!(report.attempts, 1, "{path}");
    }
}

#[tokio::test]
async fn a_folder_is_no_program() {
    let mut house = House::with("", |s| {
        std::fs::create_dir(s.root.join("bin")).unwrap();
        s.process_path = r".\bin".into();
    });
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::NoProgram);
    assert!(report.summary.contains("is a folder: name the program in it"), "{}", report.summary);
}

/// L04: working directory, relative path with backslashes, names with blanks, quotes and letters.
/// L06: an `.exe` that only exists without it.
#[tokio::test]
async fn odd_names_are_found_and_started() {
    for (folder, name, path) in [
        ("bin", "app", r".\bin\app"),
        ("bin", "App", r".\bin\App.exe"),
        ("my app's \"bin\"", "\u{e4}\u{f6} \u{1f600}", ".\\my app's \"bin\"\\\u{e4}\u{f6} \u{1f600}"),
    ] {
        let mut house = House::with("", |s| {
            std::fs::create_dir(s.root.join(folder)).unwrap();
            std::os::unix::fs::symlink(PROBE, s.root.join(folder).join(name)).unwrap();
            s.process_path = path.into();
        });
        house.up().await;
        assert_eq!(house.record().all("cwd"), [house.dir.path().to_str().unwrap()], "{path}");
        house.stop().await;
    }
}

/// L04: arguments by the rules of Windows, empty and many ones too.
#[tokio::test]
async fn arguments_arrive_as_windows_quotes_them() {
    let many = vec!["x"; 5_000].join(" ");
    let line = format!(r#""" "a b" c\\d e\"f "g\\" "say ""hi""" 'single {many}"#);
    let mut house = House::new(&line);
    house.up().await;
    let record = house.record();
    let arguments = record.all("arg");
    let expected = ["", "a b", r"c\\d", r#"e"f"#, r"g\", r#"say "hi""#, "'single", "x"];
    assert_eq!(arguments.get(2..10).unwrap(), expected);
    assert_eq!(arguments.len(), 2 + 7 + 5_000);
    house.stop().await;
}

#[tokio::test]
async fn a_list_longer_than_the_system_takes_is_told() {
    // One argument may have 128 KiB.
    let mut house = House::new(&"x".repeat(200_000));
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::NoProgram);
    assert!(report.summary.contains("too long for the system"), "{}", report.summary);
    assert_eq!(report.attempts, 1);
}

/// L14: known names are expanded, unknown ones stay. L15: of two spellings the last value wins.
/// L16: the file wins over the host. L17: 10,000 characters arrive whole.
#[tokio::test]
async fn odd_values_arrive() {
    let long = "x".repeat(10_000);
    let mut house = House::with("", |s| {
        s.inherited.push(("TestVariable".into(), "W".into()));
        s.inherited.push(("BOTH".into(), "host".into()));
        let pairs = [
            ("EXPANDED", "%TestVariable%;Hello"),
            ("UNKNOWN", "%NOPE%"),
            ("EQUALS", "a=b=c"),
            ("QUOTES", r#"it's "so" \"#),
            ("LETTERS", "\u{e4}\u{1f600}"),
            ("EMPTY", ""),
            ("Twice", "1"),
            ("TWICE", "2"),
            ("BOTH", "file"),
            ("LONG", &long),
        ];
        s.variables = pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        s.variables.push(("LINES".into(), "one\ntwo".into()));
    });
    house.up().await;
    let record = house.record();
    for (name, expected) in [
        ("EXPANDED", "W;Hello"),
        ("UNKNOWN", "%NOPE%"),
        ("EQUALS", "a=b=c"),
        ("QUOTES", r#"it's "so" \"#),
        ("LETTERS", "\u{e4}\u{1f600}"),
        ("EMPTY", ""),
        ("Twice", "2"),
        ("BOTH", "file"),
        ("LONG", &long),
    ] {
        assert_eq!(record.env(name), [expected], "{name}");
    }
    assert!(record.env("TWICE").is_empty());
    let (pid, _) = house.pids();
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(environment.split(|b| *b == 0).any(|entry| entry == b"LINES=one\ntwo"));
    house.stop().await;
}

#[tokio::test]
async fn a_nul_is_refused() {
    let mut house = House::with("", |s| s.variables = vec![("A".into(), "x\0y".into())]);
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::System);
    assert!(report.summary.contains("\"A\"") && report.summary.contains("NUL"), "{}", report.summary);
    assert_eq!(report.attempts, 1);
    let mut house = House::new("x\0y");
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::NoProgram);
    assert!(report.summary.contains("NUL"), "{}", report.summary);
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let (taken, port) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if (1025..=48000).contains(&port) {
            break (listener, port);
        }
    };
    // The application tries, fails, and leaves; or it stays and never listens.
    for (words, failure) in [("", StartFailure::Exited), ("never", StartFailure::ForeignListener)] {
        let mut house = House::with(words, |s| s.variables = vec![("ASPNETCORE_PORT".into(), port.to_string())]);
        let report = house.fail().await;
        assert_eq!(report.failure, failure, "{report:?}");
        assert!(report.summary.contains("Another program listens on"), "{}", report.summary);
        assert!(report.summary.contains(&port.to_string()), "{}", report.summary);
    }
    drop(taken);
}
