use super::CommandLine;
use crate::settings::{Settings, sample};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

type Names<'a> = &'a [&'a str];

/// A folder with an app root and a folder that is on PATH.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(executables: &[&str], plain: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("app")).unwrap();
        for (names, mode) in [(executables, 0o755), (plain, 0o644)] {
            for name in names {
                let path = dir.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                let text = if name.ends_with(".exe") { "MZ..." } else { "#!/bin/sh\n" };
                std::fs::write(&path, text).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        Self { dir }
    }

    fn settings(&self, path: &str, arguments: &str) -> Settings {
        let bin = self.dir.path().join("bin");
        Settings {
            root: self.dir.path().join("app"),
            process_path: path.into(),
            arguments: arguments.into(),
            inherited: vec![
                ("PATH".into(), format!("relative:{}", bin.display()).into()),
                ("HOME".into(), self.dir.path().into()),
            ],
            ..sample()
        }
    }

    /// The program relative to the folder, then its arguments.
    fn resolve(&self, path: &str, arguments: &str) -> Result<Vec<String>, String> {
        let line = CommandLine::resolve(&self.settings(path, arguments), 23456)?;
        let short = |p: &str| {
            Path::new(p)
                .strip_prefix(self.dir.path())
                .map_or_else(|_| p.to_owned(), |p| p.to_string_lossy().into_owned())
        };
        let mut all = vec![short(&line.program.to_string_lossy())];
        all.extend(line.arguments.iter().map(|a| short(a)));
        Ok(all)
    }
}

/// L05, L06: in the root before PATH, and without `.exe`.
#[test]
fn programs_are_found_where_they_are() {
    let cases: [(Names<'_>, Names<'_>, &str, Names<'_>); 16] = [
        (&["bin/dotnet"], &[], "dotnet", &["bin/dotnet"]),
        (&["bin/dotnet"], &[], "dotnet.exe", &["bin/dotnet"]),
        (&["bin/dotnet", "app/dotnet"], &[], "dotnet", &["app/dotnet"]),
        (&["bin/dotnet"], &["app/dotnet"], "dotnet", &["bin/dotnet"]),
        (&["app/App"], &[], r".\App.exe", &["app/App"]),
        (&["app/App"], &[], r"App.EXE", &["app/App"]),
        (&["app/App"], &[], r"\\?\App.exe", &["app/App"]),
        (&["app/App"], &[], "./App", &["app/App"]),
        (&["app/sub/Tool"], &[], r"sub\Tool.exe", &["app/sub/Tool"]),
        (&["app/Sub/tool"], &[], r".\sub\TOOL", &["app/Sub/tool"]),
        (&["other/run"], &[], r"..\other\run", &["app/../other/run"]),
        (&["tools/run"], &[], r"%home%\tools\run", &["tools/run"]),
        (&["bin/dotnet"], &["app/App.dll", "app/App.runtimeconfig.json"], r".\App.exe", &["bin/dotnet", "app/App.dll"]),
        (
            &["bin/dotnet", "app/App.exe"],
            &["app/App.dll", "app/App.runtimeconfig.json"],
            r".\App.exe",
            &["bin/dotnet", "app/App.dll"],
        ),
        (&["app/App.exe", "app/App"], &[], r".\App.exe", &["app/App"]),
        (&["app/my app/run"], &[], r"my app\run", &["app/my app/run"]),
    ];
    for (executables, plain, path, expected) in cases {
        let place = Place::new(executables, plain);
        let got = place.resolve(path, "");
        assert_eq!(
            got.as_deref(),
            Ok(expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>().as_slice()),
            "{path}"
        );
    }
}

#[test]
fn a_missing_program_is_told_in_plain_words() {
    let cases: [(Names<'_>, Names<'_>, &str, &str); 12] = [
        (&[], &[], "dotnet", "neither in"),
        (&[], &[], r".\App.exe", "There is no program"),
        (&[], &["app/App"], r".\App.exe", "chmod +x"),
        (&["app/run.bat"], &[], "run.bat", "batch file"),
        (&["app/run.CMD"], &[], r".\run.CMD", "batch file"),
        (&[], &[], "powershell", "Windows shell"),
        (&[], &[], "cmd.exe", "Windows shell"),
        (&[], &[], r"C:\Program Files\dotnet\dotnet.exe", "Windows drive"),
        (&[], &[], "%LAUNCHER_PATH%", "publish the app first"),
        (&["app/App.exe"], &[], "App.exe", "Windows program"),
        (&[], &["app/App.dll", "app/App.runtimeconfig.json"], "App.exe", "install the .NET runtime"),
        (&["app/App", "app/APP"], &[], "aPP", "There is no program"),
    ];
    for (executables, plain, path, expected) in cases {
        let place = Place::new(executables, plain);
        let got = place.resolve(path, "").unwrap_err();
        assert!(got.contains(expected), "{path}: {got}");
    }
}

/// L04, L18: split, expanded, slashes turned.
#[test]
fn arguments_are_split_expanded_and_localised() {
    let cases: [(&str, Names<'_>); 10] = [
        (r".\App.dll", &["./App.dll"]),
        (r"exec .\sub\App.dll --x", &["exec", "./sub/App.dll", "--x"]),
        (r"sub\app.DLL", &["sub/App.dll"]),
        (r".\APP.dll", &["./App.dll"]),
        (r"--pattern a\b", &["--pattern", r"a\b"]),
        (r".\conf\", &["./conf/"]),
        ("--port %HTTP_PLATFORM_PORT%", &["--port", "23456"]),
        ("-p%aspnetcore_port%", &["-p23456"]),
        (r#"-jar "my app.jar" %NOPE%"#, &["-jar", "my app.jar", "%NOPE%"]),
        (r"\\?\server.js", &["server.js"]),
    ];
    let place = Place::new(&["bin/dotnet"], &["app/App.dll", "app/sub/App.dll"]);
    for (arguments, expected) in cases {
        let got = place.resolve("dotnet", arguments).unwrap();
        assert_eq!(got.get(1..).unwrap(), expected, "{arguments:?}");
    }
}

#[test]
fn launcher_variables_of_the_host_win() {
    let place = Place::new(&["bin/dotnet", "tools/other"], &[]);
    let mut settings = place.settings("dotnet", r".\App.dll");
    settings.inherited.push(("ANCM_LAUNCHER_PATH".into(), r"%HOME%\tools\other".into()));
    settings.inherited.push(("ANCM_LAUNCHER_ARGS".into(), "one two".into()));
    let line = CommandLine::resolve(&settings, 1).unwrap();
    assert!(line.program.ends_with("tools/other"));
    assert_eq!(line.arguments, ["one", "two"]);
}

#[test]
fn a_command_line_reads_well() {
    let line =
        CommandLine { program: "/usr/bin/dotnet".into(), arguments: vec!["a b".into(), "c".into(), String::new()] };
    assert_eq!(line.to_string(), r#"/usr/bin/dotnet "a b" c """#);
}
