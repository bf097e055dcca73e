//! The cursors of pages: of history and changes, which is a time, and of a list of conversations. One that is taken pages from
//! where it says, also after it was shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::model::Timestamp;

#[allow(dead_code)]
#[path = "../../functions/list-conversations/src/cursor.rs"]
mod list;

fuzz_target!(|text: &str| {
    if let Some(cursor) = list::Cursor::parse(text) {
        assert_eq!(cursor.to_string(), text);
    }
    if let Some(time) = Timestamp::parse(text) {
        let shown = time.to_string();
        // An offset can push a time out of the four-digit years, in which all messages are.
        if shown.len() == 24 {
            let again = Timestamp::parse(&shown).expect("a time that was shown is a cursor");
            assert_eq!(again.to_string(), shown);
        }
    }
});
