//! What windows of tokens must be like, and the mean of their losses.

use cairn_primitives::ModelShape;

use crate::TrainerError;

/// Whether windows fit a model, and how many tokens of each are fed in: one fewer than it has.
///
/// # Errors
///
/// [`TrainerError`] names the first window that does not.
pub(crate) fn check_windows(shape: &ModelShape, windows: &[&[u32]]) -> Result<usize, TrainerError> {
    let expected = windows.first().ok_or(TrainerError::NoWindows)?.len();
    let (context, vocabulary) = (shape.context, shape.vocabulary);
    if expected < 2 || expected - 1 > context as usize {
        let found = expected;
        return Err(TrainerError::Context { found, context });
    }
    for (window, tokens) in windows.iter().enumerate() {
        let found = tokens.len();
        if found != expected {
            return Err(TrainerError::Window {
                window,
                expected,
                found,
            });
        }
        let known = |token: &u32| *token < vocabulary;
        if let Some((position, token)) = tokens.iter().enumerate().find(|(_, token)| !known(token))
        {
            return Err(TrainerError::Token {
                window,
                position,
                token: *token,
                vocabulary,
            });
        }
    }
    Ok(expected - 1)
}

/// Whether all windows have `expected` tokens.
///
/// # Errors
///
/// [`TrainerError::Window`] names the first that has not.
pub(crate) fn check_length(windows: &[&[u32]], expected: usize) -> Result<(), TrainerError> {
    let other = |tokens: &&[u32]| tokens.len() != expected;
    match windows.iter().enumerate().find(|(_, tokens)| other(tokens)) {
        Some((window, tokens)) => Err(TrainerError::Window {
            window,
            expected,
            found: tokens.len(),
        }),
        None => Ok(()),
    }
}

/// The tokens that windows predict.
pub(crate) fn tokens_of(windows: &[&[u32]]) -> usize {
    let predicted = windows.iter().map(|window| window.len().saturating_sub(1));
    predicted.sum()
}

/// The mean of `count` losses with this sum.
pub(crate) fn mean_of(sum: f64, count: usize) -> f32 {
    (sum / count as f64) as f32
}
