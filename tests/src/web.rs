//! Writing web.config files.

use std::fmt::Write as _;

/// A web.config for one program.
#[derive(Clone, Debug)]
pub struct Web {
    section: &'static str,
    module: &'static str,
    program: String,
    attributes: Vec<(String, String)>,
    variables: Vec<(String, String)>,
    beside: String,
    inside: String,
    handlers: Option<String>,
}

impl Web {
    /// A file with an `aspNetCore` section.
    #[must_use]
    pub fn asp(program: &str) -> Self {
        Self::new("aspNetCore", "AspNetCoreModuleV2", program)
    }

    /// A file with an `httpPlatform` section.
    #[must_use]
    pub fn platform(program: &str) -> Self {
        Self::new("httpPlatform", "httpPlatformHandler", program)
    }

    fn new(section: &'static str, module: &'static str, program: &str) -> Self {
        let (attributes, variables) = (Vec::new(), Vec::new());
        Self {
            section,
            module,
            program: program.to_owned(),
            attributes,
            variables,
            beside: String::new(),
            inside: String::new(),
            handlers: None,
        }
    }

    /// Sets an attribute of the section.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.attributes.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sets an environment variable of the program.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    /// Puts sections beside it, inside `system.webServer`.
    #[must_use]
    pub fn beside(mut self, xml: &str) -> Self {
        self.beside.push_str(xml);
        self
    }

    /// Puts elements into the section, beside its environment variables.
    #[must_use]
    pub fn inside(mut self, xml: &str) -> Self {
        self.inside.push_str(xml);
        self
    }

    /// Puts these entries in place of the one that maps everything.
    #[must_use]
    pub fn handlers(mut self, xml: &str) -> Self {
        self.handlers = Some(xml.to_owned());
        self
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> String {
        let everything = format!(r#"<add name="app" path="*" verb="*" modules="{}" />"#, self.module);
        let handlers = self.handlers.as_ref().unwrap_or(&everything);
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<configuration>\n  <system.webServer>\n    \
             <handlers>\n      {handlers}\n    </handlers>\n    {}\n    <{} processPath=\"{}\"",
            self.beside,
            self.section,
            escape(&self.program)
        );
        // Writing to a String can't fail.
        for (name, value) in &self.attributes {
            let _ = write!(text, " {name}=\"{}\"", escape(value));
        }
        let _ = write!(text, ">\n      {}<environmentVariables>\n", self.inside);
        for (name, value) in &self.variables {
            let _ = writeln!(text, "        <environmentVariable name=\"{name}\" value=\"{}\" />", escape(value));
        }
        let _ = write!(
            text,
            "      </environmentVariables>\n    </{}>\n  </system.webServer>\n</configuration>\n",
            self.section
        );
        text
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
