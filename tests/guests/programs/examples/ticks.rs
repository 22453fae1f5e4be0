//! A timer and nothing else. Each tick counts in the store `things`, logs its begin and its
//! end under the name in `generation`, and does what `act` says.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    Config, Edit, Failure, Level, Plugin, Registration, Selector, Store, Timer, exchange, identity, identity_control,
    log_line,
};

gatelodge_sdk::manifest! { name: "ticks", version: "0.1.0", grants: { "log": true, "identity": true, "state": ["things"] } }
gatelodge_sdk::export!(Ticks; timer);

struct Ticks {
    store: Store,
    generation: String,
    act: String,
    /// Ticks of this instance.
    own: i64,
}

impl Plugin for Ticks {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let generation = config.string("generation").unwrap_or_default();
        let act = config.string("act").unwrap_or_default();
        let every = config.number("every", 10, u32::MAX.into());
        config.finish()?;
        let mut registration = Registration::new();
        registration.tick_ms(u32::try_from(every).unwrap_or(u32::MAX));
        Ok((Self { store: Store::new("things"), generation, act, own: 0 }, registration))
    }
}

impl Timer for Ticks {
    fn tick(&mut self) {
        log_line(Level::Info, &format!("begin {}", self.generation));
        let count = self.store.add("ticks", 1, None).unwrap_or(-1);
        self.own += 1;
        let own = self.own.to_string();
        let told = self.store.set("own", own.as_bytes(), None).and_then(|_| match self.act.as_str() {
            "trap" => panic!("as it was told"),
            "trap-five" if count <= 5 => panic!("as it was told"),
            "trap-second" if count == 2 => panic!("as it was told"),
            "loop-second" if count == 2 => loop {
                std::hint::black_box(count);
            },
            "hold" => self.hold(),
            "look" => self.store.set("looked", looked().as_bytes(), None).map(|_| ()),
            _ => Ok(()),
        });
        log_line(Level::Info, &format!("end {} {told:?}", self.generation));
    }
}

impl Ticks {
    /// Does not end before somebody else takes the entry `hold` away.
    fn hold(&self) -> Result<(), Failure> {
        while self.store.get("hold")?.is_some() {}
        Ok(())
    }
}

/// What is there of an exchange: nothing.
fn looked() -> String {
    let edit = Edit::Remove("x-a".to_owned());
    let who = identity::Principal {
        subject: "s".to_owned(),
        issuer: String::new(),
        scheme: String::new(),
        claims: "{}".to_owned(),
        expires: 0,
    };
    let answers = [
        exchange::read(&Selector::Path).map(|_| ()),
        exchange::lines(exchange::Side::Request, "host").map(|_| ()),
        exchange::headers(exchange::Side::Response).map(|_| ()),
        exchange::apply(&edit),
        exchange::set_note(b"n"),
        exchange::set_attribute("a", b"v"),
        identity_control::set_principal(&who),
        identity_control::clear_principal(),
    ];
    let denied = |answer: &Result<(), Failure>| matches!(answer, Err(Failure::Denied));
    let nobody = identity::get_principal().is_none();
    format!("denied {} of {}, nobody {nobody}", answers.iter().filter(|answer| denied(answer)).count(), answers.len())
}
