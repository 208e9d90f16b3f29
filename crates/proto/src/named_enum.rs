//! Enums whose variants have names on the wire or in logs.

/// Declares an enum with the names of its variants, so that no list of either can lack a variant.
macro_rules! named_enum {
    ($(#[$meta:meta])* pub enum $Enum:ident { $($(#[$doc:meta])* $Variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $Enum { $($(#[$doc])* $Variant),+ }

        impl $Enum {
            /// The names of all values, in the order in which `value as usize` numbers them.
            #[doc(hidden)]
            pub const NAMES: &[&str] = &[$($name),+];

            /// Returns the name that Node's server uses.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$Variant => $name),+ }
            }
        }

        impl std::fmt::Display for $Enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use named_enum;
