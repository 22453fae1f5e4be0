use super::{is_request_path, life::minutes, watch_glob};

#[test]
fn globs_stay_below_the_folder_and_mean_the_same_everywhere() {
    let table: [(&str, Result<(), &str>); 22] = [
        ("*.dll", Ok(())),
        ("bin/**/*.so", Ok(())),
        ("**/*.dll", Ok(())),
        ("config/*.json", Ok(())),
        ("{App,Lib}.dll", Ok(())),
        ("lib[0-9].so", Ok(())),
        ("a b/ä?.txt", Ok(())),
        ("..a/b", Ok(())),
        ("", Err("1 to 1024 bytes")),
        ("/etc/passwd", Err("is not relative")),
        ("C:/App.dll", Err("is not relative")),
        ("..", Err("leaves the app's folder")),
        ("../x", Err("leaves the app's folder")),
        ("a/../../x", Err("leaves the app's folder")),
        (r"bin\*.dll", Err("holds a backslash")),
        (r"\*.dll", Err("holds a backslash")),
        ("a//b", Err("empty segment")),
        ("./a", Err("empty segment or a single dot")),
        ("bin/", Err("empty segment")),
        ("bin/**.dll", Err("`**` beside other characters")),
        ("lib[0-9.so", Err("is not a glob")),
        ("{a,b", Err("is not a glob")),
    ];
    for (text, expected) in table {
        match (watch_glob(text), expected) {
            (Ok(_), Ok(())) => {}
            (Err((what, _)), Err(part)) => assert!(what.contains(part), "{text}: {what}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }
    assert!(watch_glob(&"a".repeat(1024)).is_ok());
    assert!(watch_glob(&"a".repeat(1025)).is_err());
    let dll = watch_glob("*.dll").expect("it is a glob").compile_matcher();
    assert!(dll.is_match("App.dll") && !dll.is_match("bin/App.dll"), "a star stays within its segment");
}

#[test]
fn times_of_day() {
    let table = [
        ("00:00", Some(0)),
        ("03:30", Some(210)),
        ("23:59", Some(1439)),
        ("24:00", None),
        ("23:60", None),
        ("3:30", None),
        ("03:30:00", None),
        ("0330", None),
        ("+3:30", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(minutes(text), expected, "{text}");
    }
}

#[test]
fn paths_of_requests() {
    for path in ["/", "/health?deep=1", "/a%20b", "/ä".replace('ä', "%C3%A4").as_str()] {
        assert!(is_request_path(path), "{path}");
    }
    for path in ["", "health", "/a b", "/a\tb", "/a\r\nX: 1", "/ä", "/a#b", "http://x/"] {
        assert!(!is_request_path(path), "{path}");
    }
    assert!(is_request_path(&format!("/{}", "a".repeat(1023))));
    assert!(!is_request_path(&format!("/{}", "a".repeat(1024))));
}
