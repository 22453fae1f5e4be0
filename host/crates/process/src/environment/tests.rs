use super::{Table, development};
use crate::settings::{Section, Settings, sample};
use std::collections::BTreeMap;
use wire::PairingToken;

/// The environment from inherited and configured variables.
fn environment(
    inherited: &[(&str, &str)],
    variables: &[(&str, &str)],
    change: impl Fn(&mut Settings),
) -> BTreeMap<String, String> {
    let pairs = |list: &[(&str, &str)]| list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let mut settings = Settings {
        inherited: inherited.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
        variables: pairs(variables),
        ..sample()
    };
    change(&mut settings);
    let table = Table::new(&settings).unwrap();
    let token = PairingToken::from_text(table.token().unwrap_or("secret")).unwrap();
    let all = table.finish(&settings, 23456, &token);
    let map: BTreeMap<_, _> =
        all.iter().map(|(n, v)| (n.to_str().unwrap().to_owned(), v.to_str().unwrap().to_owned())).collect();
    assert_eq!(map.len(), all.len(), "each name once");
    map
}

fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

/// L07: nothing more, nothing less.
#[test]
fn the_whole_table_of_asp_net_core() {
    let expected = [
        ("ASPNETCORE_APPL_PATH", "/"),
        ("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", ";Microsoft.AspNetCore.Server.IISIntegration"),
        ("ASPNETCORE_IIS_APPLICATION_ID", "/LM/W3SVC/1/ROOT"),
        ("ASPNETCORE_IIS_APPLICATION_VIRTUAL_PATH", "/"),
        ("ASPNETCORE_IIS_APP_CONFIG_PATH", "MACHINE/WEBROOT/APPHOST/Default Web Site"),
        ("ASPNETCORE_IIS_APP_POOL_ID", "DefaultAppPool"),
        ("ASPNETCORE_IIS_HTTPAUTH", "anonymous;"),
        ("ASPNETCORE_IIS_PHYSICAL_PATH", "/LM/W3SVC/1/ROOT"),
        ("ASPNETCORE_IIS_SITE_ID", "1"),
        ("ASPNETCORE_IIS_SITE_NAME", "Default Web Site"),
        ("ASPNETCORE_IIS_VERSION", "10.0"),
        ("ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED", "true"),
        ("ASPNETCORE_PORT", "23456"),
        ("ASPNETCORE_TOKEN", "secret"),
        ("HOME", "/root"),
    ];
    assert_eq!(environment(&[("HOME", "/root")], &[], |_| ()), pairs(&expected));
}

#[test]
fn the_whole_table_of_http_platform_below_a_path() {
    let expected = [
        ("HTTP_PLATFORM_APPL_PATH", "/app"),
        ("HTTP_PLATFORM_IIS_APPLICATION_ID", "/LM/W3SVC/1/ROOT/app"),
        ("HTTP_PLATFORM_IIS_APPLICATION_VIRTUAL_PATH", "/app"),
        ("HTTP_PLATFORM_IIS_APP_CONFIG_PATH", "MACHINE/WEBROOT/APPHOST/Default Web Site/app"),
        ("HTTP_PLATFORM_IIS_APP_POOL_ID", "DefaultAppPool"),
        ("HTTP_PLATFORM_IIS_HTTPAUTH", "anonymous;"),
        ("HTTP_PLATFORM_IIS_PHYSICAL_PATH", "/LM/W3SVC/1/ROOT/app"),
        ("HTTP_PLATFORM_IIS_SITE_ID", "1"),
        ("HTTP_PLATFORM_IIS_SITE_NAME", "Default Web Site"),
        ("HTTP_PLATFORM_IIS_VERSION", "10.0"),
        ("HTTP_PLATFORM_IIS_WEBSOCKETS_SUPPORTED", "false"),
        ("HTTP_PLATFORM_PORT", "23456"),
        ("HTTP_PLATFORM_TOKEN", "secret"),
        ("PORT", "23456"),
    ];
    // What an outer host gave to this one is not for the application.
    let inherited = [("ASPNETCORE_TOKEN", "outer"), ("ASPNETCORE_PORT", "1"), ("HTTP_PLATFORM_TOKEN", "outer")];
    let got = environment(&inherited, &[("PORT", "%HTTP_PLATFORM_PORT%")], |s| {
        s.section = Section::HttpPlatform;
        s.app_path = "/app".into();
        s.websockets_supported = false;
    });
    assert_eq!(got, pairs(&expected));
}

/// L12 to L17, one line each.
#[test]
fn one_variable_at_a_time() {
    type Pairs<'a> = &'a [(&'a str, &'a str)];
    let long = "x".repeat(10_000);
    let prefer = ("ANCM_PREFER_ENVIRONMENT_VARIABLES", "True");
    let cases: [(Pairs<'_>, Pairs<'_>, &str, Option<&str>); 24] = [
        // Computed ones can't be configured.
        (&[], &[("ASPNETCORE_APPL_PATH", "/x")], "ASPNETCORE_APPL_PATH", Some("/")),
        (&[], &[("aspnetcore_iis_httpauth", "windows;")], "ASPNETCORE_IIS_HTTPAUTH", Some("anonymous;")),
        (&[], &[("aspnetcore_iis_httpauth", "windows;")], "aspnetcore_iis_httpauth", None),
        (&[], &[("ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED", "no")], "ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED", Some("true")),
        (&[("aspnetcore_token", "outer")], &[], "aspnetcore_token", None),
        // These can.
        (&[], &[("ASPNETCORE_TOKEN", "fixed")], "ASPNETCORE_TOKEN", Some("fixed")),
        (&[], &[("ASPNETCORE_ANCM_HTTPS_PORT", "123")], "ASPNETCORE_ANCM_HTTPS_PORT", Some("123")),
        // Hosting startup.
        (&[], &[("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", "Asm2")], "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", Some("Asm2")),
        (
            &[("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", "Asm1")],
            &[],
            "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES",
            Some("Asm1;Microsoft.AspNetCore.Server.IISIntegration"),
        ),
        (
            &[("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", "Asm1")],
            &[("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", "Asm2")],
            "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES",
            Some("Asm2"),
        ),
        // Expansion.
        (&[("TestVariable", "W")], &[("A", "%TestVariable%;Hello")], "A", Some("W;Hello")),
        (&[("TESTVARIABLE", "W")], &[("A", "%testvariable%;Hello")], "A", Some("W;Hello")),
        (&[], &[("A", "%NOPE%;Hello")], "A", Some("%NOPE%;Hello")),
        (&[], &[("B", "1"), ("A", "%B%")], "A", Some("%B%")),
        (
            &[],
            &[("ASPNETCORE_URLS", "http://127.0.0.1:%aspnetcore_port%")],
            "ASPNETCORE_URLS",
            Some("http://127.0.0.1:23456"),
        ),
        // Names in any case.
        (&[], &[("Foo", "1"), ("FOO", "2")], "Foo", Some("2")),
        (&[], &[("Foo", "1"), ("FOO", "2")], "FOO", None),
        (&[("PATH", "/bin")], &[("Path", "/opt")], "PATH", Some("/opt")),
        (&[("http_proxy", "a"), ("HTTP_PROXY", "b")], &[], "http_proxy", Some("a")),
        // Who wins.
        (&[("A", "host")], &[("A", "file")], "A", Some("file")),
        (&[("A", "host"), prefer], &[("A", "file")], "A", Some("host")),
        (&[("ASPNETCORE_APPL_PATH", "/host"), prefer], &[], "ASPNETCORE_APPL_PATH", Some("/")),
        (&[("A", "host"), ("ANCM_PREFER_ENVIRONMENT_VARIABLES", "0")], &[("A", "file")], "A", Some("file")),
        (&[], &[("A", &long)], "A", Some(&long)),
    ];
    for (inherited, variables, name, expected) in cases {
        let got = environment(inherited, variables, |_| ());
        assert_eq!(got.get(name).map(String::as_str), expected, "{inherited:?} {variables:?} {name}");
    }
}

#[test]
fn https_port_is_told_once_it_is_clear() {
    let with = environment(&[], &[], |s| s.https_port = Some(8443));
    assert_eq!(with.get("ASPNETCORE_ANCM_HTTPS_PORT").map(String::as_str), Some("8443"));
    assert!(!environment(&[], &[], |_| ()).contains_key("ASPNETCORE_ANCM_HTTPS_PORT"));
}

#[test]
fn impossible_variables_are_named() {
    for (name, value) in [("", "x"), ("a=b", "x"), ("a\0", "x"), ("a", "x\0")] {
        let settings = Settings { variables: vec![(name.into(), value.into())], ..sample() };
        assert!(Table::new(&settings).err().unwrap().contains(&format!("{name:?}")));
    }
}

#[test]
fn details_are_for_development() {
    type Pairs<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Pairs<'_>, Pairs<'_>, bool); 8] = [
        (&[], &[], false),
        (&[], &[("ASPNETCORE_ENVIRONMENT", "development")], true),
        (&[], &[("DOTNET_ENVIRONMENT", "Development")], true),
        (&[("ASPNETCORE_ENVIRONMENT", "Development")], &[], true),
        (&[("ASPNETCORE_ENVIRONMENT", "Production")], &[("ASPNETCORE_ENVIRONMENT", "Development")], false),
        (&[], &[("ASPNETCORE_DETAILEDERRORS", "TRUE")], true),
        (&[], &[("ASPNETCORE_DETAILEDERRORS", "1")], true),
        (&[], &[("ASPNETCORE_DETAILEDERRORS", "yes")], false),
    ];
    for (inherited, variables, expected) in cases {
        let settings = Settings {
            inherited: inherited.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            variables: variables.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            ..sample()
        };
        assert_eq!(development(&settings), expected, "{inherited:?} {variables:?}");
    }
}
