//! Operations: what rules are about.

use serde::{Deserialize, Serialize};

/// What a rule is about: one operation, or a group of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Opening for reading, listing a directory.
    Read,
    /// Opening an existing file for writing, truncating it.
    Modify,
    /// A name that does not exist yet: a file, directory, link, pipe or socket.
    Create,
    /// Removing a name.
    Delete,
    /// The old name of a rename.
    Rename,
    /// Mode, owner, times, extended attributes.
    Metadata,
    /// Executing a program or script.
    Exec,
    /// Connecting, or sending to an address.
    Connect,
    /// Binding an address, listening.
    Bind,
    /// Starting a process. Threads are not asked about.
    Fork,
    /// Sending a signal.
    Signal,
    /// Modify, create, delete, rename and metadata; in an allow rule also read.
    Write,
    /// Read, modify and create.
    Open,
    /// Connect and bind.
    Network,
    /// Every operation.
    All,
}

/// All single operations, in the order of their bits.
const SINGLE: [(Operation, &str); 11] = [
    (Operation::Read, "read"),
    (Operation::Modify, "modify"),
    (Operation::Create, "create"),
    (Operation::Delete, "delete"),
    (Operation::Rename, "rename"),
    (Operation::Metadata, "metadata"),
    (Operation::Exec, "exec"),
    (Operation::Connect, "connect"),
    (Operation::Bind, "bind"),
    (Operation::Fork, "fork"),
    (Operation::Signal, "signal"),
];

const GROUPS: [(Operation, &str); 4] = [
    (Operation::Write, "write"),
    (Operation::Open, "open"),
    (Operation::Network, "network"),
    (Operation::All, "all"),
];

impl Operation {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = SINGLE.iter().chain(&GROUPS).find(|(operation, _)| *operation == self);
        found.map_or("", |(_, name)| name)
    }

    /// The operation or group of a name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        SINGLE.iter().chain(&GROUPS).find(|(_, known)| *known == name).map(|(op, _)| *op)
    }

    /// Every name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SINGLE.iter().chain(&GROUPS).map(|(_, name)| *name)
    }
}

/// A set of single operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Operations(u16);

impl Operations {
    pub(crate) const NONE: Self = Self(0);

    /// The members of an operation or group. `allow`: what a group means in an allow rule.
    pub(crate) fn of(operation: Operation, allow: bool) -> Self {
        use Operation::{
            All, Bind, Connect, Create, Delete, Metadata, Modify, Network, Open, Read, Rename,
            Write,
        };
        let set = |list: &[Operation]| list.iter().fold(Self::NONE, |set, op| set.with(*op));
        match operation {
            Write if allow => set(&[Read, Modify, Create, Delete, Rename, Metadata]),
            Write => set(&[Modify, Create, Delete, Rename, Metadata]),
            Open => set(&[Read, Modify, Create]),
            Network => set(&[Connect, Bind]),
            All => Self((1 << SINGLE.len()) - 1),
            single => set(&[single]),
        }
    }

    /// With one more single operation.
    pub(crate) fn with(self, operation: Operation) -> Self {
        let bit = SINGLE.iter().position(|(known, _)| *known == operation);
        Self(self.0 | bit.map_or(0, |bit| 1 << bit))
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn has(self, operation: Operation) -> bool {
        let one = Self::NONE.with(operation).0;
        one != 0 && self.0 & one == one
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Operation> {
        SINGLE.into_iter().map(|(operation, _)| operation).filter(move |op| self.has(*op))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_operation() {
        assert_eq!(Operation::names().count(), 15);
        for name in Operation::names() {
            assert_eq!(Operation::by_name(name).unwrap().name(), name);
        }
        assert_eq!(Operation::by_name("unlink"), None);
    }

    #[test]
    fn groups_hold_what_they_say() {
        let write = Operations::of(Operation::Write, false);
        assert!(write.has(Operation::Delete) && !write.has(Operation::Read));
        assert!(Operations::of(Operation::Write, true).has(Operation::Read));
        assert_eq!(Operations::of(Operation::All, false).iter().count(), 11);
        assert!(!write.has(Operation::Write), "a group is no member of itself");
        assert!(write.meets(Operations::of(Operation::Delete, false)));
        assert!(!write.meets(Operations::of(Operation::Network, false)));
        assert!(!Operations::NONE.meets(write));
    }
}
