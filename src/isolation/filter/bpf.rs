//! Classic BPF as seccomp takes it: opcodes, and the offsets of what a program may load.

// Opcodes, from linux/bpf_common.h.
pub(super) const BPF_LD: u16 = 0x00;
pub(super) const BPF_LDX: u16 = 0x01;
pub(super) const BPF_ST: u16 = 0x02;
pub(super) const BPF_STX: u16 = 0x03;
pub(super) const BPF_ALU: u16 = 0x04;
pub(super) const BPF_JMP: u16 = 0x05;
pub(super) const BPF_RET: u16 = 0x06;
pub(super) const BPF_MISC: u16 = 0x07;
pub(super) const BPF_W: u16 = 0x00;
pub(super) const BPF_IMM: u16 = 0x00;
pub(super) const BPF_ABS: u16 = 0x20;
pub(super) const BPF_MEM: u16 = 0x60;
pub(super) const BPF_LEN: u16 = 0x80;
pub(super) const BPF_K: u16 = 0x00;
pub(super) const BPF_X: u16 = 0x08;
pub(super) const BPF_A: u16 = 0x10;
pub(super) const BPF_JA: u16 = 0x00;
pub(super) const BPF_JEQ: u16 = 0x10;
pub(super) const BPF_JGT: u16 = 0x20;
pub(super) const BPF_JGE: u16 = 0x30;
pub(super) const BPF_JSET: u16 = 0x40;
pub(super) const BPF_AND: u16 = 0x50;

// Whole opcodes, so that they can be matched on.
pub(super) const LOAD: u16 = BPF_LD | BPF_W | BPF_ABS;
pub(super) const LOAD_LEN: u16 = BPF_LD | BPF_W | BPF_LEN;
pub(super) const LOAD_IMM: u16 = BPF_LD | BPF_IMM;
pub(super) const LOAD_MEM: u16 = BPF_LD | BPF_MEM;
pub(super) const LOADX_LEN: u16 = BPF_LDX | BPF_W | BPF_LEN;
pub(super) const LOADX_IMM: u16 = BPF_LDX | BPF_IMM;
pub(super) const LOADX_MEM: u16 = BPF_LDX | BPF_MEM;
pub(super) const STORE: u16 = BPF_ST;
pub(super) const STOREX: u16 = BPF_STX;
pub(super) const ADD_K: u16 = BPF_ALU | BPF_K;
pub(super) const ADD_X: u16 = BPF_ALU | BPF_X;
pub(super) const SUB_K: u16 = BPF_ALU | 0x10 | BPF_K;
pub(super) const SUB_X: u16 = BPF_ALU | 0x10 | BPF_X;
pub(super) const MUL_K: u16 = BPF_ALU | 0x20 | BPF_K;
pub(super) const MUL_X: u16 = BPF_ALU | 0x20 | BPF_X;
pub(super) const DIV_K: u16 = BPF_ALU | 0x30 | BPF_K;
pub(super) const DIV_X: u16 = BPF_ALU | 0x30 | BPF_X;
pub(super) const OR_K: u16 = BPF_ALU | 0x40 | BPF_K;
pub(super) const OR_X: u16 = BPF_ALU | 0x40 | BPF_X;
pub(super) const AND_K: u16 = BPF_ALU | BPF_AND | BPF_K;
pub(super) const AND_X: u16 = BPF_ALU | BPF_AND | BPF_X;
pub(super) const LSH_K: u16 = BPF_ALU | 0x60 | BPF_K;
pub(super) const LSH_X: u16 = BPF_ALU | 0x60 | BPF_X;
pub(super) const RSH_K: u16 = BPF_ALU | 0x70 | BPF_K;
pub(super) const RSH_X: u16 = BPF_ALU | 0x70 | BPF_X;
pub(super) const NEG: u16 = BPF_ALU | 0x80;
pub(super) const XOR_K: u16 = BPF_ALU | 0xa0 | BPF_K;
pub(super) const XOR_X: u16 = BPF_ALU | 0xa0 | BPF_X;
pub(super) const JUMP: u16 = BPF_JMP | BPF_JA;
pub(super) const JEQ_K: u16 = BPF_JMP | BPF_JEQ | BPF_K;
pub(super) const JEQ_X: u16 = BPF_JMP | BPF_JEQ | BPF_X;
pub(super) const JGT_K: u16 = BPF_JMP | BPF_JGT | BPF_K;
pub(super) const JGT_X: u16 = BPF_JMP | BPF_JGT | BPF_X;
pub(super) const JGE_K: u16 = BPF_JMP | BPF_JGE | BPF_K;
pub(super) const JGE_X: u16 = BPF_JMP | BPF_JGE | BPF_X;
pub(super) const JSET_K: u16 = BPF_JMP | BPF_JSET | BPF_K;
pub(super) const JSET_X: u16 = BPF_JMP | BPF_JSET | BPF_X;
pub(super) const RET_K: u16 = BPF_RET | BPF_K;
pub(super) const RET_A: u16 = BPF_RET | BPF_A;
pub(super) const TAX: u16 = BPF_MISC;
pub(super) const TXA: u16 = BPF_MISC | 0x80;

/// Scratch words a program has, `BPF_MEMWORDS` (`linux/filter.h`).
pub(super) const MEMORY_WORDS: usize = 16;

// struct seccomp_data { int nr; u32 arch; u64 instruction_pointer; u64 args[6]; }
pub(super) const DATA_SIZE: u32 = 64;
pub(super) const OFFSET_NR: u32 = 0;
pub(super) const OFFSET_ARCH: u32 = 4;
pub(super) const OFFSET_ARGS: u32 = 16;
