//! Rows that the route functions return.

use crate::error::Cause;
use crate::{Error, Result};
use std::sync::Arc;
use tokio_postgres::types::{FromSql, Type, accepts};

/// A row's values by the names of their columns.
pub enum Row {
    /// The row of a call in a FROM clause, which has the function's columns.
    Columns(tokio_postgres::Row),
    /// The row of a call in a SELECT list. Its only column is a record with these fields.
    Record(tokio_postgres::Row, Arc<[String]>),
}

impl Row {
    /// Returns the value of a column.
    pub fn try_get<'a, T: FromSql<'a>>(&'a self, name: &str) -> Result<T> {
        match self {
            Self::Columns(row) => Ok(row.try_get(name)?),
            Self::Record(row, names) => {
                let field = names.iter().position(|other| other == name).ok_or("no such column");
                let value = field.map_err(Cause::from).and_then(|n| Record::value(&row.try_get(0)?, n));
                value.map_err(|cause| Error::Database(format!("{name}: {cause}").into()))
            }
        }
    }
}

/// A record in Postgres's binary format: the number of its fields, then each field's type, length and value.
struct Record<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Record<'a> {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Cause> {
        Ok(Self(bytes))
    }

    accepts!(RECORD);
}

impl<'a> Record<'a> {
    fn value<T: FromSql<'a>>(&self, n: usize) -> Result<T, Cause> {
        let Field { oid, value } = self.field(n).ok_or("the record ends before this field")?;
        let kind = Type::from_oid(oid).filter(T::accepts).ok_or("the field has another type")?;
        T::from_sql_nullable(&kind, value)
    }

    fn field(&self, n: usize) -> Option<Field<'a>> {
        let mut bytes = self.0.get(4..)?;
        for _ in 0..n {
            (_, bytes) = Field::split_first(bytes)?;
        }
        Some(Field::split_first(bytes)?.0)
    }
}

struct Field<'a> {
    /// Its type.
    oid: u32,
    value: Option<&'a [u8]>,
}

impl<'a> Field<'a> {
    /// Splits the bytes after the first field. A null has a negative length.
    fn split_first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (oid, bytes) = bytes.split_first_chunk()?;
        let (length, bytes) = bytes.split_first_chunk()?;
        let (value, bytes) = match usize::try_from(i32::from_be_bytes(*length)) {
            Ok(length) => bytes.split_at_checked(length).map(|(value, bytes)| (Some(value), bytes))?,
            Err(_) => (None, bytes),
        };
        Some((Self { oid: u32::from_be_bytes(*oid), value }, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The record `(7, null, 'seven')` as Postgres sends it.
    const RECORD: &[u8] =
        b"\0\0\0\x03\0\0\0\x17\0\0\0\x04\0\0\0\x07\0\0\0\x19\xff\xff\xff\xff\0\0\0\x19\0\0\0\x05seven";

    #[test]
    fn a_record_has_the_values_of_its_fields() {
        let record = Record(RECORD);
        assert_eq!(record.value::<i32>(0).unwrap(), 7);
        assert_eq!(record.value::<Option<&str>>(1).unwrap(), None);
        assert_eq!(record.value::<Option<&str>>(2).unwrap(), Some("seven"));
    }

    #[test]
    fn a_missing_field_a_null_and_another_type_are_errors() {
        let record = Record(RECORD);
        assert!(record.value::<Option<&str>>(3).is_err());
        assert!(record.value::<&str>(1).is_err());
        assert!(record.value::<i32>(2).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, n in 0..4_usize) {
            let _ = Record(&bytes).value::<Option<&str>>(n);
        }

        #[test]
        fn a_truncated_record_is_an_error(end in 0..RECORD.len()) {
            prop_assert!(Record(&RECORD[..end]).value::<Option<&str>>(2).is_err());
        }
    }
}
