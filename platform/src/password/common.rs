//! Passwords that are tried first (NIST SP 800-63B section 5.1.1.2).

use std::collections::BTreeSet;

/// The fewest different characters of a password.
const MIN_DIFFERENT: usize = 5;

/// Rows of keyboards and alphabets, along which a finger or a mind runs.
const RUNS: [&str; 9] = [
    "abcdefghijklmnopqrstuvwxyz",
    "zyxwvutsrqponmlkjihgfedcba",
    "01234567890123456789",
    "98765432109876543210",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "q1w2e3r4t5y6u7i8o9p0",
    "1q2w3e4r5t6y7u8i9o0p",
];

/// What stands in the lists of stolen passwords again and again: written small, without what is put around it.
const WORDS: [&str; 98] = [
    "administrator",
    "admin",
    "adminadmin",
    "alexander",
    "andrea",
    "angel",
    "anthony",
    "arsenal",
    "asdf",
    "asdfasdf",
    "austin",
    "babygirl",
    "barcelona",
    "baseball",
    "basketball",
    "batman",
    "biteme",
    "butterfly",
    "changeme",
    "changethis",
    "charlie",
    "chelsea",
    "chocolate",
    "christian",
    "computer",
    "correcthorsebatterystaple",
    "daniel",
    "default",
    "dragon",
    "elizabeth",
    "facebook",
    "football",
    "forever",
    "freedom",
    "friends",
    "fuckyou",
    "fuckyoufuckyou",
    "gateway",
    "google",
    "hallo",
    "hello",
    "helloworld",
    "hunter",
    "iloveyou",
    "iloveyousomuch",
    "internet",
    "jessica",
    "jordan",
    "jennifer",
    "killer",
    "letmein",
    "letmeinnow",
    "liverpool",
    "login",
    "love",
    "loveme",
    "lovely",
    "manager",
    "master",
    "matrix",
    "metallica",
    "michael",
    "michelle",
    "monkey",
    "mustang",
    "mypassword",
    "nicole",
    "oracle",
    "passphrase",
    "passw",
    "password",
    "passwordpassword",
    "passwort",
    "pokemon",
    "princess",
    "qazwsx",
    "qazwsxedc",
    "querty",
    "qwer",
    "qwerty",
    "qwertyqwerty",
    "root",
    "samsung",
    "secret",
    "server",
    "shadow",
    "starwars",
    "summer",
    "sunshine",
    "superman",
    "superuser",
    "test",
    "testtest",
    "trustno",
    "viewport",
    "welcome",
    "whatever",
    "winter",
];

/// Whether a password is one that attackers try first, or made of what the account says `about` its owner.
pub(super) fn is_common(password: &str, about: &[&str]) -> bool {
    let small = password.to_lowercase();
    let different: BTreeSet<char> = small.chars().filter(|c| !c.is_whitespace()).collect();
    if different.len() < MIN_DIFFERENT || RUNS.iter().any(|run| is_of_run(&small, run)) {
        return true;
    }
    let forms = [stem(&small), stem(&plain(&small))];
    let known = about.iter().flat_map(|text| [text.to_lowercase(), text.split('@').next().unwrap_or("").to_lowercase()]);
    let known: Vec<String> = known.flat_map(|text| [stem(&text), text]).filter(|text| !text.is_empty()).collect();
    forms.iter().any(|form| WORDS.contains(&form.as_str()) || known.contains(form)) || known.contains(&small)
}

/// Whether it is a piece of a run, perhaps with something short around it, or several times the same piece.
fn is_of_run(password: &str, run: &str) -> bool {
    let longest = longest_common(password, run);
    longest * 4 >= password.chars().count() * 3
}

/// How many characters of `run` stand in `password` side by side, at most.
fn longest_common(password: &str, run: &str) -> usize {
    let (password, run): (Vec<char>, Vec<char>) = (password.chars().collect(), run.chars().collect());
    let common = |from: usize, at: usize| password[from..].iter().zip(&run[at..]).take_while(|(a, b)| a == b).count();
    let starts = (0..password.len()).flat_map(|from| (0..run.len()).map(move |at| (from, at)));
    starts.map(|(from, at)| common(from, at)).max().unwrap_or(0)
}

/// What is left without digits, signs and spaces around and between.
fn stem(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).collect()
}

/// Letters for the digits and signs that stand for them.
fn plain(text: &str) -> String {
    let letter = |c| match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    text.trim_end_matches(|c: char| !c.is_alphabetic()).chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F26.
    #[test]
    fn common_passwords_are_refused() {
        for common in [
            "password123",
            "Password123!",
            "P@ssw0rd2024",
            "passwordpassword",
            "1234567890",
            "12345678901234",
            "qwertyuiop",
            "QWERTYUIOP1",
            "aaaaaaaaaaaa",
            "abababababab",
            "iloveyou1234",
            "letmein12345",
            "Welcome2024!",
            "          ",
            "abcdefghij",
            "1q2w3e4r5t6y",
            "changeme!!!!",
            "0987654321",
            "viewport2026",
            "adminadmin",
            "monkey!!1234",
        ] {
            assert!(is_common(common, &[]), "{common}");
        }
        for own in ["ann@example.org", "Ann.Example1", "annexample99", "ANN EXAMPLE 1"] {
            assert!(is_common(own, &["Ann Example", "ann@example.org"]), "{own}");
        }
    }

    #[test]
    fn an_uncommon_password_is_accepted() {
        for good in [
            "correct horse battery",
            "another passphrase",
            "x7#kQ2!vLp9z",
            "the cat sat on 3 mats",
            "Grüße aus Köln am Rhein",
            "password manager wrote this",
            "1234 elephants dance",
        ] {
            assert!(!is_common(good, &["Ann", "ann@example.org"]), "{good}");
        }
    }
}
