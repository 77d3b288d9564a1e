//! What happens at a bound: the library's choices, in the words of the
//! configuration.

use latchlight_broker::{WhenFull, WhenInlineFull, WhenOfflineFull};
use serde::{Deserialize, Serialize};

/// Declares them, and both ways between them and the library's.
macro_rules! choices {
    ($($(#[$doc:meta])* $config:ident of $library:ident { $($choice:ident),* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum $config {
            $($choice,)*
        }

        impl From<$library> for $config {
            fn from(choice: $library) -> Self {
                match choice {
                    $($library::$choice => Self::$choice,)*
                }
            }
        }

        impl From<$config> for $library {
            fn from(choice: $config) -> Self {
                match choice {
                    $($config::$choice => Self::$choice,)*
                }
            }
        }
    )*};
}

choices! {
    /// To a message for a connected client whose queue is full.
    WhenFullConfig of WhenFull { DropNewest, DropOldest, Disconnect }

    /// To a message for a session without a connection whose queue is full.
    WhenOfflineFullConfig of WhenOfflineFull { DropNewest, DropOldest }

    /// To a message for an inline subscription that is full.
    WhenInlineFullConfig of WhenInlineFull { SlowDown, DropNewest, DropOldest }
}
