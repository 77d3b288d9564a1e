//! A statement that is put together from pieces: which filters it has is known
//! when it is asked for.

use sqlx::any::{Any, AnyArguments};
use sqlx::query::{Query, QueryScalar};
use sqlx::{Arguments as _, AssertSqlSafe, Encode, Type};

/// Words of ours, and values, which are bound and never written into it.
#[derive(Default)]
pub struct Statement {
    sql: String,
    values: AnyArguments,
}

impl Statement {
    /// Begins with these words.
    pub fn new(words: &'static str) -> Self {
        Self { sql: words.to_owned(), ..Self::default() }
    }

    /// Adds words.
    pub fn push(&mut self, words: &'static str) -> &mut Self {
        self.sql.push_str(words);
        self
    }

    /// Adds a value.
    pub fn bind<'t, T: Encode<'t, Any> + Type<Any>>(&mut self, value: T) -> &mut Self {
        self.values.add(value).expect("numbers, text and bytes can be bound");
        self.sql.push('$');
        self.sql.push_str(&self.values.len().to_string());
        self
    }

    /// The query, for its rows.
    pub fn build(self) -> Query<'static, Any, AnyArguments> {
        sqlx::query_with(AssertSqlSafe(self.sql), self.values)
    }

    /// The query, for one number.
    pub fn scalar(self) -> QueryScalar<'static, Any, i64, AnyArguments> {
        sqlx::query_scalar_with(AssertSqlSafe(self.sql), self.values)
    }
}
