//! Runs a program as the kernel would.

use std::fmt;

use super::bpf::*;
use super::{SeccompData, sock_filter};

/// Why a program has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterpretError {
    /// It ran or jumped past its end.
    PastEnd,
    /// It has an instruction that seccomp doesn't take.
    BadInstruction {
        /// The instruction.
        at: usize,
    },
}

impl fmt::Display for InterpretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PastEnd => write!(f, "the program runs past its end"),
            Self::BadInstruction { at } => {
                write!(f, "instruction {at} is none that seccomp takes")
            }
        }
    }
}

impl std::error::Error for InterpretError {}

/// Runs a program on a call and returns its `SECCOMP_RET_*` value, as the kernel would.
///
/// A program that [`verify`] accepts always has a result. Others may, too: only the instructions
/// that are reached are looked at. It always ends, because jumps only go forward.
///
/// # Errors
///
/// See [`InterpretError`].
pub fn interpret(program: &[sock_filter], data: &SeccompData) -> Result<u32, InterpretError> {
    let mut accumulator: u32 = 0;
    let mut index: u32 = 0;
    let mut memory = [0_u32; MEMORY_WORDS];
    let mut at = 0_usize;
    loop {
        let &sock_filter { code, jt, jf, k } = program.get(at).ok_or(InterpretError::PastEnd)?;
        let bad = InterpretError::BadInstruction { at };
        let cell = usize::try_from(k).ok().filter(|&cell| cell < MEMORY_WORDS);
        let operand = if code & BPF_X == 0 { k } else { index };
        let mut skip = 0;
        match code {
            LOAD => accumulator = data.word(k).ok_or(bad)?,
            LOAD_LEN => accumulator = DATA_SIZE,
            LOAD_IMM => accumulator = k,
            LOAD_MEM => accumulator = *cell.and_then(|cell| memory.get(cell)).ok_or(bad)?,
            LOADX_LEN => index = DATA_SIZE,
            LOADX_IMM => index = k,
            LOADX_MEM => index = *cell.and_then(|cell| memory.get(cell)).ok_or(bad)?,
            STORE => *cell.and_then(|cell| memory.get_mut(cell)).ok_or(bad)? = accumulator,
            STOREX => *cell.and_then(|cell| memory.get_mut(cell)).ok_or(bad)? = index,
            ADD_K | ADD_X => accumulator = accumulator.wrapping_add(operand),
            SUB_K | SUB_X => accumulator = accumulator.wrapping_sub(operand),
            MUL_K | MUL_X => accumulator = accumulator.wrapping_mul(operand),
            DIV_K => accumulator = accumulator.checked_div(k).ok_or(bad)?,
            // A division by a zero index ends the program with 0.
            DIV_X => match accumulator.checked_div(index) {
                Some(quotient) => accumulator = quotient,
                None => return Ok(0),
            },
            OR_K | OR_X => accumulator |= operand,
            AND_K | AND_X => accumulator &= operand,
            XOR_K | XOR_X => accumulator ^= operand,
            LSH_K => accumulator = accumulator.checked_shl(k).ok_or(bad)?,
            RSH_K => accumulator = accumulator.checked_shr(k).ok_or(bad)?,
            LSH_X => accumulator = accumulator.wrapping_shl(index),
            RSH_X => accumulator = accumulator.wrapping_shr(index),
            NEG => accumulator = accumulator.wrapping_neg(),
            TAX => index = accumulator,
            TXA => accumulator = index,
            JUMP => skip = k,
            JEQ_K | JEQ_X => skip = u32::from(if accumulator == operand { jt } else { jf }),
            JGT_K | JGT_X => skip = u32::from(if accumulator > operand { jt } else { jf }),
            JGE_K | JGE_X => skip = u32::from(if accumulator >= operand { jt } else { jf }),
            JSET_K | JSET_X => skip = u32::from(if accumulator & operand != 0 { jt } else { jf }),
            RET_K => return Ok(k),
            RET_A => return Ok(accumulator),
            _ => return Err(bad),
        }
        let skip = usize::try_from(skip).map_err(|_| InterpretError::PastEnd)?;
        at =
            at.checked_add(1).and_then(|at| at.checked_add(skip)).ok_or(InterpretError::PastEnd)?;
    }
}
