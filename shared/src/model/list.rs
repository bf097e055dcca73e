//! Lists of objects.

use crate::{Error, Result};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use uuid::Uuid;

/// The maximum total size of a list's objects, in bytes. Lambda limits a response to 6 MB.
const MAX_LIST: usize = 5_000_000;

/// A list's objects as JSON.
pub struct List {
    /// As many objects as were requested, or as fit into a response.
    pub items: Vec<Box<RawValue>>,
    /// Whether more rows follow.
    pub more: bool,
}

impl List {
    /// Reads at most `limit` rows. A statement returns at least one row, for its verdict. If it found nothing, that
    /// row's `id` is null.
    pub fn read<'a, T>(rows: &'a [Row], limit: usize) -> Result<Self>
    where
        T: TryFrom<&'a Row, Error = Error> + Serialize,
    {
        let mut items = Vec::new();
        let mut room = MAX_LIST;
        for row in rows {
            if row.try_get::<_, Option<Uuid>>("id")?.is_none() {
                break;
            }
            let json = serde_json::value::to_raw_value(&T::try_from(row)?).map_err(|_| Error::Panic)?;
            match room.checked_sub(json.get().len()) {
                Some(rest) if items.len() < limit => room = rest,
                _ => return Ok(Self { items, more: true }),
            }
            items.push(json);
        }
        Ok(Self { items, more: false })
    }
}
