//! The kernel's own rules for programs.

use std::fmt;

use super::bpf::*;
use super::{MAX_INSTRUCTIONS, sock_filter};

/// Why the kernel would refuse a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is empty or longer than [`MAX_INSTRUCTIONS`].
    Length(usize),
    /// An opcode that seccomp doesn't take.
    Opcode {
        /// The instruction.
        at: usize,
    },
    /// A jump past the end.
    Jump {
        /// The instruction.
        at: usize,
    },
    /// A load that isn't a whole, aligned word of `seccomp_data`.
    Load {
        /// The instruction.
        at: usize,
    },
    /// A division by zero or a shift by 32 or more.
    Operand {
        /// The instruction.
        at: usize,
    },
    /// A scratch word that doesn't exist, or is read before it is written.
    Memory {
        /// The instruction.
        at: usize,
    },
    /// The last instruction isn't a return.
    NoReturn,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(len) => write!(f, "{len} instructions, not 1 to {MAX_INSTRUCTIONS}"),
            Self::Opcode { at } => write!(f, "instruction {at} has an opcode seccomp refuses"),
            Self::Jump { at } => write!(f, "instruction {at} jumps past the end"),
            Self::Load { at } => write!(f, "instruction {at} loads no word of seccomp_data"),
            Self::Operand { at } => write!(f, "instruction {at} divides by zero or shifts by 32"),
            Self::Memory { at } => write!(f, "instruction {at} uses an unset scratch word"),
            Self::NoReturn => write!(f, "the last instruction doesn't return"),
        }
    }
}

impl std::error::Error for VerifyError {}

/// Checks a program by the rules of the kernel's `bpf_check_classic` (`net/core/filter.c`) and
/// `seccomp_check_filter` (`kernel/seccomp.c`).
///
/// # Errors
///
/// The first rule that is broken.
pub fn verify(program: &[sock_filter]) -> Result<(), VerifyError> {
    let len = program.len();
    if !(1..=MAX_INSTRUCTIONS).contains(&len) {
        return Err(VerifyError::Length(len));
    }
    // The scratch words set on every way to an instruction, one bit each.
    let mut set_on_entry = vec![u16::MAX; len];
    let mut set: u16 = 0;
    for (at, &sock_filter { code, jt, jf, k }) in program.iter().enumerate() {
        set &= set_on_entry.get(at).copied().unwrap_or(0);
        let word = u16::try_from(k).ok().filter(|&k| usize::from(k) < MEMORY_WORDS);
        let word = word.map(|k| 1_u16 << k);
        let mut jump = |offset: u32, set: u16| {
            let target = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(at + 1));
            match target.and_then(|target| set_on_entry.get_mut(target)) {
                Some(entry) => {
                    *entry &= set;
                    Ok(())
                }
                None => Err(VerifyError::Jump { at }),
            }
        };
        match code {
            LOAD if k >= DATA_SIZE || !k.is_multiple_of(4) => {
                return Err(VerifyError::Load { at });
            }
            DIV_K if k == 0 => return Err(VerifyError::Operand { at }),
            LSH_K | RSH_K if k >= 32 => return Err(VerifyError::Operand { at }),
            STORE | STOREX => set |= word.ok_or(VerifyError::Memory { at })?,
            LOAD_MEM | LOADX_MEM => match word {
                Some(word) if set & word != 0 => {}
                _ => return Err(VerifyError::Memory { at }),
            },
            JUMP => {
                jump(k, set)?;
                // Only what jumps to the next instruction says what is set there.
                set = u16::MAX;
            }
            JEQ_K | JEQ_X | JGT_K | JGT_X | JGE_K | JGE_X | JSET_K | JSET_X => {
                jump(u32::from(jt), set)?;
                jump(u32::from(jf), set)?;
                set = u16::MAX;
            }
            LOAD | LOAD_LEN | LOAD_IMM | LOADX_LEN | LOADX_IMM | ADD_K | ADD_X | SUB_K | SUB_X
            | MUL_K | MUL_X | DIV_K | DIV_X | OR_K | OR_X | AND_K | AND_X | XOR_K | XOR_X
            | LSH_K | LSH_X | RSH_K | RSH_X | NEG | TAX | TXA | RET_K | RET_A => {}
            _ => return Err(VerifyError::Opcode { at }),
        }
    }
    match program.last() {
        Some(&sock_filter { code: RET_K | RET_A, .. }) => Ok(()),
        _ => Err(VerifyError::NoReturn),
    }
}
