//! What the CPU must have, and how loops use it.

use crate::TrainerError;

/// Whether this machine computes the bits that the crate promises.
///
/// # Errors
///
/// [`TrainerError::Cpu`] if the CPU lacks AVX2 or FMA: matrix products would then be computed without fused
/// multiply-adds, and have other bits.
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

/// Compiles a function for AVX2 as well as for the target's baseline, and calls what the CPU has.
///
/// Both have the same bits: the compiler never fuses or reorders floating-point operations by itself, and
/// sums in the bodies name their lanes. FMA is left out, so that nothing could be fused.
macro_rules! wide {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the CPU has just been found to have AVX2.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
