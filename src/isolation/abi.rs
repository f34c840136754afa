//! Which layer needs which kernel, and what stands in for it on an older one.

/// How one thing is kept from the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cover {
    /// By Landlock itself.
    Landlock,
    /// By something else, named.
    Substitute(&'static str),
}

/// One row: what is kept, the Landlock ABI that does it, and the substitute below that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer {
    pub(crate) name: &'static str,
    pub(crate) needs: u32,
    pub(crate) substitute: &'static str,
}

/// The table. ABI 1 is Linux 5.13, 2 is 5.19, 3 is 6.2, 4 is 6.7, 5 is 6.10, 6 is 6.12.
pub(crate) const LAYERS: &[Layer] = &[
    Layer { name: "files by path", needs: 1, substitute: "none: no sandbox" },
    Layer {
        name: "renames between directories",
        needs: 2,
        substitute: "refused by the kernel (EXDEV)",
    },
    Layer { name: "truncation", needs: 3, substitute: "performed by the guard" },
    Layer { name: "TCP ports", needs: 4, substitute: "judged by the guard" },
    Layer { name: "device ioctls", needs: 5, substitute: "the filter's list of requests" },
    Layer { name: "signals to other processes", needs: 6, substitute: "judged by the guard" },
    Layer { name: "abstract unix sockets", needs: 6, substitute: "refused by the guard" },
];

impl Layer {
    /// What covers this row on a kernel of that ABI.
    pub(crate) fn cover(&self, abi: u32) -> Cover {
        if abi >= self.needs { Cover::Landlock } else { Cover::Substitute(self.substitute) }
    }
}

/// What this machine's kernel can do for a sandbox, as the daemon found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kernel {
    pub(crate) landlock: u32,
    pub(crate) wait_killable: bool,
    pub(crate) pidfd_getfd: bool,
}

/// The newest ABI whose rights are used here.
pub(crate) const NEWEST: u32 = 7;

/// Landlock rights for files of an ABI.
pub(crate) fn fs_rights(abi: u32) -> u64 {
    match abi {
        0 => 0,
        1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3 | 4 => (1 << 15) - 1,
        _ => (1 << 16) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_a_substitute_below_its_abi() {
        for layer in LAYERS {
            assert_eq!(layer.cover(layer.needs), Cover::Landlock, "{}", layer.name);
            let below = layer.cover(layer.needs - 1);
            assert!(matches!(below, Cover::Substitute(s) if !s.is_empty()), "{}", layer.name);
        }
    }

    #[test]
    fn rights_grow_with_the_abi() {
        assert_eq!(fs_rights(1), 0x1fff);
        assert_eq!(fs_rights(5), 0xffff);
        assert!((1..NEWEST).all(|abi| fs_rights(abi) & !fs_rights(abi + 1) == 0));
    }
}
