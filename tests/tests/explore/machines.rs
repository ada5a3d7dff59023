//! One test per machine and per system.

use tests::explore::catalogue;

/// States that are visited here at most.
const STATES: usize = 1_500;

fn holds(name: &str) {
    let walk = catalogue::named(name).expect("a known name");
    match walk.walk(STATES) {
        Ok(report) => assert!(report.is_closed || report.states >= STATES, "{report:?}"),
        Err(counterexample) => panic!("{name}: {counterexample}"),
    }
}

macro_rules! explored {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                holds($name);
            }
        )*

        #[test]
        fn nothing_is_left_out() {
            let tested = [$($name),*].into_iter().collect();
            assert_eq!(catalogue::names(), tested);
        }
    };
}

explored! {
    admission: "admission",
    binding: "binding",
    binding_two_orgs: "binding-two-orgs",
    code: "code",
    consent: "consent",
    credential: "credential",
    credential_limit: "credential-limit",
    handshake_initiator: "handshake-initiator",
    handshake_responder: "handshake-responder",
    keyset: "keyset",
    pairing: "pairing",
    session: "session",
}
