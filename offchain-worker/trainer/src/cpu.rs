//! What the CPU must have, and how loops use it.

use std::sync::OnceLock;

use crate::TrainerError;

/// Whether this machine computes the bits that the crate promises.
///
/// # Errors
///
/// [`TrainerError::Cpu`] if the CPU lacks AVX2 or FMA, or if it is not of the x86-64 family.
pub fn check_cpu() -> Result<(), TrainerError> {
    #[cfg(target_arch = "x86_64")]
    let missing = if !std::arch::is_x86_feature_detected!("avx2") {
        Some("AVX2")
    } else if !std::arch::is_x86_feature_detected!("fma") {
        Some("FMA")
    } else {
        None
    };
    #[cfg(not(target_arch = "x86_64"))]
    let missing = Some("x86-64");
    missing.map_or(Ok(()), |missing| Err(TrainerError::Cpu { missing }))
}

/// An instruction set. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simd {
    /// AVX2 with FMA: eight numbers at once.
    Avx2,
    /// AVX-512: sixteen.
    Avx512,
}

impl Simd {
    /// The widest that the CPU has. `CAIRN_SIMD=avx2` in the environment switches AVX-512 off for the whole
    /// process, which is how the tests show that the bits stay.
    pub fn get() -> Simd {
        static CHOSEN: OnceLock<Simd> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let narrow = std::env::var_os("CAIRN_SIMD").is_some_and(|simd| simd == "avx2");
            if has_avx512() && !narrow {
                Simd::Avx512
            } else {
                Simd::Avx2
            }
        })
    }
}

/// Whether the CPU has AVX-512 as far as it is used here.
pub fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512vl")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("avx512bw");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// The name of the instruction set that is used here: `avx512` or `avx2`.
pub fn simd() -> &'static str {
    match Simd::get() {
        Simd::Avx2 => "avx2",
        Simd::Avx512 => "avx512",
    }
}

/// Compiles a function for AVX-512 and for AVX2 with FMA, and calls what the CPU has.
///
/// Both have the same bits: the compiler never fuses or reorders floating-point operations by itself, fused
/// multiply-adds are written as `mul_add`, and sums in the bodies name their lanes.
macro_rules! wide {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                // SAFETY: `Simd` names what the CPU has, and `check_cpu` has turned away what has neither.
                return match crate::cpu::Simd::get() {
                    crate::cpu::Simd::Avx512 => unsafe { avx512($($arg),*) },
                    crate::cpu::Simd::Avx2 => unsafe { avx2($($arg),*) },
                };
            }
            #[cfg(not(target_arch = "x86_64"))]
            body($($arg),*)
        }
    };
}
