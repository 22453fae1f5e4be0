use super::{Ask, Decision, FileKind, Scope, Site, is_doubly_escaped};
use crate::{Facts, File, read};

/// A site with this inside `system.webServer`, beside a backend.
fn site(inside: &str) -> Site {
    let text = format!(
        "<configuration><system.webServer>{inside}<aspNetCore processPath=\"a\"/></system.webServer></configuration>"
    );
    whole(&text)
}

fn whole(text: &str) -> Site {
    match read(Some(File::new("web.config", text)), None, &Facts::default()) {
        Ok(document) => Site::compile(&document.web_config),
        Err(problems) => panic!("{problems}"),
    }
}

/// A disk with a file `/assets/a.css`, a file `/page.aspx` and a directory `/docs`.
fn disk(path: &str) -> Option<FileKind> {
    match path {
        "/assets/a.css" | "/page.aspx" => Some(FileKind::File),
        "/docs" => Some(FileKind::Directory),
        _ => None,
    }
}

/// `GET /path` -> one word.
fn decide(site: &Site, request: &str) -> String {
    let (method, target) = request.split_once(' ').expect("a request is a method and a target");
    let (raw_path, raw_query) = target.split_once('?').unwrap_or((target, ""));
    word(site.decide(Ask { method, path: raw_path, raw_path, raw_query }, disk))
}

fn word(decision: Decision<'_>) -> String {
    match decision {
        Decision::Backend => "app".to_owned(),
        Decision::NoHandler => "404.4".to_owned(),
        Decision::ForeignModule => "404.2".to_owned(),
        Decision::Static => "static".to_owned(),
        Decision::MethodNotAllowed(allow) => format!("405 {allow}"),
        Decision::AccessDenied(sub_status) => format!("403.{sub_status}"),
        Decision::VerbDenied => "404.6".to_owned(),
        Decision::HiddenSegment => "404.8".to_owned(),
        Decision::DoubleEscape => "404.11".to_owned(),
        Decision::PathTooLong(limit) => format!("404.14 {limit}"),
        Decision::QueryTooLong(limit) => format!("404.15 {limit}"),
    }
}

fn check(site: &Site, table: &[(&str, &str)]) {
    for (request, expected) in table {
        assert_eq!(decide(site, request), *expected, "{request}");
    }
}

const APP: &str = r#"<add name="app" path="*" verb="*" modules="AspNetCoreModuleV2"/>"#;

#[test]
fn a_catch_all_gets_everything_that_passes_the_filter() {
    let site = site(&format!("<handlers>{APP}</handlers>"));
    check(
        &site,
        &[
            ("GET /", "app"),
            ("OPTIONS /x", "app"),
            ("TRACE /x", "app"),
            ("get /x", "app"),
            ("GET /bin/x", "404.8"),
            ("GET /WEB.CONFIG", "404.8"),
            ("GET /a/web.config/b", "404.8"),
            ("GET /%252e", "404.11"),
            ("GET /100%25", "app"),
            ("GET /a%2Fb", "app"),
        ],
    );
}

#[test]
fn lengths_are_refused_one_byte_over_the_limit() {
    let site = site(&format!("<handlers>{APP}</handlers>"));
    let path = |length: usize| format!("GET /{}", "a".repeat(length - 1));
    let query = |length: usize| format!("GET /?{}", "a".repeat(length));
    check(
        &site,
        &[(&path(4096), "app"), (&path(4097), "404.14 4096"), (&query(2048), "app"), (&query(2049), "404.15 2048")],
    );
}

/// L24: the first mapping that fits by path, verb and resource decides.
#[test]
fn the_first_match_wins_and_resources_are_looked_up() {
    let site = site(&format!(
        r#"<handlers>
        <add name="css" path="assets/*" verb="GET,HEAD" modules="StaticFileModule" resourceType="File" requireAccess="Read"/>
        <add name="dirs" path="*" verb="GET" modules="StaticFileModule" resourceType="Directory" requireAccess="Read"/>
        <add name="old" path="*.php" verb="*" modules="FastCgiModule"/>
        <add name="skipped" path="*.aspx" verb="*" modules="IsapiModule" preCondition="bitness32"/>
        {APP}</handlers>"#
    ));
    check(
        &site,
        &[
            ("GET /assets/a.css", "static"),
            ("POST /assets/a.css", "app"),
            ("GET /assets/none.css", "app"),
            ("GET /docs", "static"),
            ("GET /index.php", "404.2"),
            ("GET /page.aspx", "app"),
        ],
    );
}

#[test]
fn without_a_mapping_the_answer_is_404_and_with_another_verb_405() {
    let site = site(
        r#"<handlers>
        <add name="api" path="api/*" verb="GET, POST" modules="AspNetCoreModuleV2"/>
        <add name="more" path="api/v2/*" verb="PUT,GET" modules="AspNetCoreModuleV2"/></handlers>"#,
    );
    check(
        &site,
        &[
            ("GET /api/x", "app"),
            ("POST /API/x", "app"),
            ("PUT /api/x", "405 GET, POST"),
            ("PUT /api/v2/x", "app"),
            ("DELETE /api/v2/x", "405 GET, POST, PUT"),
            ("get /api/x", "405 GET, POST"),
            ("GET /other", "404.4"),
            ("OPTIONS /other", "404.4"),
            // The server's own mapping for files stays behind.
            ("GET /page.aspx", "static"),
        ],
    );
}

/// L23: a mapping that was removed before may be added again.
#[test]
fn clear_leaves_nothing_and_remove_one_less() {
    let cleared = site(&format!("<handlers><clear/>{}</handlers>", APP.replace("path=\"*\"", "path=\"api/*\"")));
    check(&cleared, &[("GET /api/x", "app"), ("GET /page.aspx", "404.4")]);
    // Names compare with case.
    let removed = site(&format!("<handlers>{APP}<remove name=\"APP\"/><remove name=\"StaticFile\"/></handlers>"));
    check(&removed, &[("GET /x", "app")]);
}

#[test]
fn access_policy_must_grant_what_a_mapping_requires() {
    let table = [
        (r#"accessPolicy="Read""#, "", "403.1"),
        (r#"accessPolicy="Read""#, r#"requireAccess="Read""#, "app"),
        (r#"accessPolicy="Script""#, r#"requireAccess="Read""#, "403.2"),
        (r#"accessPolicy="Script""#, r#"requireAccess="Write""#, "403.3"),
        (r#"accessPolicy="Execute""#, r#"requireAccess="Script""#, "app"),
        (r#"accessPolicy="Read,Script""#, r#"requireAccess="Execute""#, "403.1"),
        (r#"accessPolicy="None""#, r#"requireAccess="None""#, "app"),
        ("", "", "app"),
    ];
    for (policy, required, expected) in table {
        let site = site(&format!("<handlers {policy}>{}</handlers>", APP.replace("/>", &format!(" {required}/>"))));
        assert_eq!(decide(&site, "GET /x"), expected, "{policy} {required}");
    }
}

#[test]
fn request_filtering_of_verbs_segments_and_escapes() {
    let filter = |inside: &str| {
        site(&format!("<handlers>{APP}</handlers><security><requestFiltering {inside}</requestFiltering></security>"))
    };
    let denied = filter(r#"><verbs><add verb="TRACE" allowed="false"/><add verb="put" allowed="false"/></verbs>"#);
    check(&denied, &[("TRACE /", "404.6"), ("PUT /", "app"), ("put /", "404.6"), ("GET /", "app")]);
    let listed = filter(r#"><verbs allowUnlisted="false"><add verb="GET" allowed="true"/></verbs>"#);
    check(&listed, &[("GET /", "app"), ("POST /", "404.6")]);
    let opened = filter(
        r#"allowDoubleEscaping="true"><hiddenSegments><remove segment="BIN"/><add segment="logs"/></hiddenSegments>"#,
    );
    check(
        &opened,
        &[("GET /bin/x", "app"), ("GET /%252e", "app"), ("GET /Logs/x", "404.8"), ("GET /web.config", "404.8")],
    );
    let cleared = filter("><hiddenSegments><clear/></hiddenSegments>");
    check(&cleared, &[("GET /web.config", "app")]);
}

/// L25: what stands in a `location` holds below its path only.
#[test]
fn locations_hold_at_their_path_and_below() {
    let site = whole(
        r#"<configuration>
        <system.webServer><handlers><add name="app" path="*" verb="*" modules="AspNetCoreModuleV2"/></handlers><aspNetCore processPath="a"/></system.webServer>
        <location path="api"><system.webServer><security><requestFiltering><requestLimits maxQueryString="1" maxAllowedContentLength="5"/></requestFiltering></security></system.webServer></location>
        <location path="api/deep"><system.webServer><security><requestFiltering><requestLimits maxUrl="9"/></requestFiltering></security></system.webServer></location>
        <location path="logs"><system.webServer><handlers><clear/></handlers></system.webServer></location>
        <location path="ÄRGER"><system.webServer><handlers><clear/></handlers></system.webServer></location>
        </configuration>"#,
    );
    check(
        &site,
        &[
            ("GET /?ab", "app"),
            ("GET /api?ab", "404.15 1"),
            ("GET /API/x?ab", "404.15 1"),
            ("GET /apis?ab", "app"),
            ("GET /api/deep", "app"),
            ("GET /api/deep/", "404.14 9"),
            ("GET /api/deep?ab", "404.15 1"),
            ("GET /logs/x", "404.4"),
            ("GET /logs", "404.4"),
            ("GET /logsx", "app"),
            ("GET /ärger", "404.4"),
        ],
    );
    let body = |path: &str| -> u64 { Scope::clone(site.scope(path)).body_bytes_max };
    assert_eq!((body("/"), body("/api"), body("/api/deep/x")), (30_000_000, 5, 5));
}

#[test]
fn double_escapes() {
    let table = [
        ("/%25", false),
        ("/%2541", true),
        ("/%252", false),
        ("/%25zz", false),
        ("/%25%34%31", true),
        ("/%25%34x", false),
        ("/a%20b", false),
        ("/%25%2541", true),
        ("/%", false),
    ];
    for (path, expected) in table {
        assert_eq!(is_doubly_escaped(path), expected, "{path}");
    }
}

#[test]
fn the_disk_is_asked_only_where_a_mapping_demands_it() {
    let site = site(&format!("<handlers>{APP}</handlers>"));
    let ask = Ask { method: "GET", path: "/x", raw_path: "/x", raw_query: "" };
    let decision = site.decide(ask, |path| panic!("nobody asked for {path}"));
    assert_eq!(decision, Decision::Backend);
}
