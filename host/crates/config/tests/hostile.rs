//! Bytes that nobody wrote on purpose: no panic, no silence, and every refusal
//! has a place inside the file.

use gatelodge_config::mapping::{Ask, Site};
use gatelodge_config::{Facts, File, Problems, SMALLEST, read};
use proptest::prelude::*;
use std::path::PathBuf;

fn samples(end: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the samples are there").flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let wanted = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == end));
    wanted.map(|path| std::fs::read(path).expect("a listed file can be read")).collect()
}

/// Reads `bytes` as one of the two files, and holds the answer to its promises.
fn reads(bytes: &[u8], toml: bool) {
    let lines = String::from_utf8_lossy(bytes).matches('\n').count() + 1;
    let (web_config, plugins_toml) = if toml {
        (File::new("web.config", SMALLEST), Some(File::new("plugins.toml", bytes)))
    } else {
        (File::new("web.config", bytes), None)
    };
    let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.contains(&0);
    let placed = |problems: &Problems| {
        for problem in problems.as_slice() {
            assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
            assert!(wide || problem.line as usize <= lines, "{problem}");
            assert!(!problem.what.is_empty() && !problem.file.is_empty(), "{problem}");
        }
    };
    match read(Some(web_config), plugins_toml, &Facts::default()) {
        Ok(document) => {
            placed(&document.warnings);
            assert!(!document.warnings.refuses(), "{}", document.warnings);
            let site = Site::compile(&document.web_config);
            let path = "/a/b.c";
            let _any = site.decide(Ask { method: "GET", path, raw_path: path, raw_query: "" }, |_| None);
        }
        Err(problems) => {
            assert!(problems.refuses(), "a refusal says why");
            placed(&problems);
        }
    }
}

/// What an editor, a merge or a hostile hand does to a file.
#[derive(Clone, Debug)]
enum Harm {
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
    Replace(usize, u8),
}

fn harm() -> impl Strategy<Value = Harm> {
    let pieces: Vec<Vec<u8>> = [
        "<",
        ">",
        "\"",
        "'",
        "&",
        "&#65;",
        "=",
        "/>",
        "</",
        "<!--",
        "-->",
        "]]>",
        "<![CDATA[",
        "<?",
        "?>",
        "<!DOCTYPE a>",
        "\u{feff}",
        "\0",
        "\n",
        "%",
        "*",
        "..",
        "[[",
        "]]",
        "[plugin]",
        "{",
        "}",
        "1e999",
        "-1",
        "99999999999999999999",
        "true",
        "ä",
        "<location path=\"a\">",
        "<clear/>",
        "xdt:Transform=\"x\"",
        "configSource=\"x\"",
    ]
    .iter()
    .map(|piece| piece.as_bytes().to_vec())
    .collect();
    prop_oneof![
        (any::<usize>(), 1..40usize).prop_map(|(at, length)| Harm::Remove(at, length)),
        (any::<usize>(), prop::sample::select(pieces)).prop_map(|(at, piece)| Harm::Insert(at, piece)),
        (any::<usize>(), 1..200usize).prop_map(|(at, length)| Harm::Repeat(at, length)),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Harm::Replace(at, byte)),
    ]
}

fn apply(bytes: &mut Vec<u8>, harm: Harm) {
    let length = bytes.len();
    let place = |at: usize| if length == 0 { 0 } else { at % length };
    match harm {
        Harm::Remove(at, count) => drop(bytes.drain(place(at)..(place(at) + count).min(length))),
        Harm::Insert(at, piece) => drop(bytes.splice(place(at)..place(at), piece)),
        Harm::Repeat(at, count) => {
            let piece = bytes[place(at)..(place(at) + count).min(length)].to_vec();
            drop(bytes.splice(place(at)..place(at), piece));
        }
        Harm::Replace(at, byte) => {
            if let Some(slot) = bytes.get_mut(place(at)) {
                *slot = byte;
            }
        }
    }
}

fn settings() -> ProptestConfig {
    ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), toml: bool) {
        reads(&bytes, toml);
    }

    #[test]
    fn arbitrary_text(text in "(<|>|/|\"|'|=|&|!|-|\\[|\\]|\n|#|a|é|system.webServer|configuration|add| ){0,60}", toml: bool) {
        reads(text.as_bytes(), toml);
    }

    #[test]
    fn harmed_web_configs(sample in prop::sample::select(samples("config")), harms in prop::collection::vec(harm(), 1..6)) {
        let mut bytes = sample;
        for harm in harms {
            apply(&mut bytes, harm);
        }
        reads(&bytes, false);
    }

    #[test]
    fn harmed_plugins_tomls(sample in prop::sample::select(samples("toml")), harms in prop::collection::vec(harm(), 1..6)) {
        let mut bytes = sample;
        for harm in harms {
            apply(&mut bytes, harm);
        }
        reads(&bytes, true);
    }

    #[test]
    fn paths_of_any_kind_are_decided(path in "[/a-zA-Z.%~: ßÄ\\\\*?]{0,80}", method in "[A-Za-z]{1,8}") {
        let text = SMALLEST.replace("path=\"*\" verb=\"*\"", "path=\"a/*.b\" verb=\"GET,POST\"");
        let document = read(Some(File::new("web.config", text)), None, &Facts::default()).expect("it is complete");
        let path = format!("/{path}");
        let _any = Site::compile(&document.web_config)
            .decide(Ask { method: &method, path: &path, raw_path: &path, raw_query: &path }, |_| None);
    }
}

#[test]
fn files_made_to_be_slow_are_read_in_time() {
    let fill = |piece: &str, end: &str| {
        let mut text = String::from("<configuration>");
        while text.len() + piece.len() + end.len() < 1_000_000 {
            text.push_str(piece);
        }
        text + end
    };
    let files = [
        fill("<location path='a'/>", "</configuration>"),
        fill("<unknown/>", "</configuration>"),
        fill("<location path='a'><system.webServer><x/></system.webServer></location>", "</configuration>"),
        format!("<configuration>{}</configuration>", "<a>".repeat(300_000)),
        fill("&amp;", "</configuration>"),
        fill("<!-- -->", "</configuration>"),
        format!("<configuration a='{}'/>", "&amp;".repeat(190_000)),
        format!(
            "<configuration><system.webServer><handlers>{}</handlers></system.webServer></configuration>",
            (0..12_000)
                .map(|number| format!("<add name='{number}' path='*' verb='{number}' modules='x'/>"))
                .collect::<String>()
        ),
        (0..40_000).map(|number| format!("k{number} = {number}\n")).collect(),
        "[[plugin]]\n".repeat(90_000),
        format!("a = {}", "[".repeat(900_000)),
        format!("a{} = 1", ".a".repeat(400_000)),
        format!("[a{}]", ".a".repeat(400_000)),
        format!("[[plugin]]\nconfig{} = 1", ".a".repeat(400_000)),
        format!("[[plugin]]\n[plugin.config{}]", ".a".repeat(400_000)),
        format!("a = {}", "{ a = ".repeat(100_000)),
    ];
    for text in files {
        let start = std::time::Instant::now();
        let toml = !text.starts_with('<');
        reads(text.as_bytes(), toml);
        let took = start.elapsed();
        // A quadratic step on a file of a megabyte takes minutes; the machine may be busy.
        assert!(took.as_secs() < 20, "{:?} took {took:?}", text.get(..40));
        println!("{took:?} {:?}", text.get(..60));
    }
}
