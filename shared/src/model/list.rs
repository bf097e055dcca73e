//! Lists of objects.

use crate::row::Row;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// The maximum total size of a list's objects, in bytes. Lambda limits a response to 6 MB.
const MAX_LIST: usize = 5_000_000;

/// A list's objects as JSON.
pub struct List<'a> {
    /// The objects that are wanted, of as many rows as were requested or as fit into a response.
    pub items: Vec<Box<RawValue>>,
    /// The last of these rows.
    pub last: Option<&'a Row>,
    /// Whether more rows follow.
    pub more: bool,
}

impl<'a> List<'a> {
    /// Reads at most `limit` rows. A statement returns at least one row, for its verdict. If it found nothing, that
    /// row's `id` is null.
    pub fn read<T>(rows: &'a [Row], limit: usize, is_wanted: impl Fn(&T) -> bool) -> Result<Self>
    where
        T: TryFrom<&'a Row, Error = Error> + Serialize,
    {
        let mut list = Self { items: Vec::new(), last: None, more: false };
        let mut room = MAX_LIST;
        for (n, row) in rows.iter().enumerate() {
            if row.try_get::<Option<Uuid>>("id")?.is_none() {
                break;
            }
            if n == limit {
                return Ok(Self { more: true, ..list });
            }
            let object = T::try_from(row)?;
            if is_wanted(&object) {
                let json = serde_json::value::to_raw_value(&object).map_err(|_| Error::Panic)?;
                match room.checked_sub(json.get().len()) {
                    Some(rest) => room = rest,
                    None => return Ok(Self { more: true, ..list }),
                }
                list.items.push(json);
            }
            list.last = Some(row);
        }
        Ok(list)
    }
}
