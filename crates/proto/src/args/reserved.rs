//! Names of events that no program may emit.

/// Returns the name if it is reserved: the libraries emit it to their own users, and no peer may send it.
#[must_use]
pub fn reserved(name: &str) -> Option<&'static str> {
    const RESERVED: [&str; 6] = [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ];
    RESERVED.into_iter().find(|&reserved| reserved == name)
}

/// Returns the name if no server may send it to others: those of Node.js emit it to their own users, and exit if nobody
/// listens to `error`.
#[must_use]
pub fn reserved_for_servers(name: &str) -> Option<&'static str> {
    const RESERVED: [&str; 4] = ["connect", "connection", "new_namespace", "error"];
    RESERVED.into_iter().find(|&reserved| reserved == name)
}
