//! The cursors of pages: a time for history and changes, and another kind for lists of conversations. An accepted cursor must
//! keep its meaning when it is formatted and parsed again.
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
        // An offset can move a time out of the years with four digits. Messages have no such times.
        if shown.len() == 24 {
            let again = Timestamp::parse(&shown).expect("a formatted time is a valid cursor");
            assert_eq!(again.to_string(), shown);
        }
    }
});
