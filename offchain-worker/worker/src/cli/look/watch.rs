//! `cairn status --watch`.

use std::io::IsTerminal;

use cairn_chain::Client;
use cairn_primitives::Netuid;
use futures::StreamExt;

use super::{round_in_words, Seen};
use crate::{
    error::Failure,
    output,
    printable::{printable_json, printable_lines},
    roles::idle::has_begun,
    shutdown,
};

/// Shows the subnet with each new best block, until Ctrl-C or until nobody reads any more.
pub async fn run(client: &Client, netuid: Netuid, json: bool) -> Result<(), Failure> {
    let mut stop = shutdown::watch();
    let mut blocks = client.best_blocks();
    let terminal = std::io::stdout().is_terminal();
    loop {
        let next = tokio::select! {
            () = shutdown::asked(&mut stop) => return Ok(()),
            next = blocks.next() => next,
        };
        let Some(head) = next.transpose()? else {
            return Ok(());
        };
        let seen = tokio::select! {
            () = shutdown::asked(&mut stop) => return Ok(()),
            seen = Seen::at(client, head, netuid) => seen?,
        };
        let text = match (json, terminal) {
            (true, _) => printable_json(&serde_json::to_string(&seen)?) + "\n",
            (false, true) => redraw(&printable_lines(&seen.text())),
            (false, false) => printable_lines(&seen.line()),
        };
        // Whoever read has gone; that is the end of it and no error.
        if !output::show_while_read(&text)? {
            return Ok(());
        }
    }
}

/// The text in place of the one before: from the upper left corner, each line up to its end, and nothing below.
fn redraw(text: &str) -> String {
    format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}

impl Seen {
    /// All of it that changes, in a line.
    fn line(&self) -> String {
        let mut line = format!("block {}", self.block);
        match &self.run {
            None => line += ", no run",
            Some(run) => {
                let stands = round_in_words(run, &self.subnet, &self.members);
                line += &format!(", {stands}");
                if has_begun(run) {
                    let (block, blocks) = self.place(run);
                    let round = &run.round;
                    let attested = round.validators.iter().filter(|v| v.attested).count();
                    line += &format!(
                        ", block {block} of {blocks}, {} mining, {attested} of {} attested",
                        round.miners.len(),
                        round.validators.len()
                    );
                }
            }
        }
        if let Some(from) = self.subnet.dissolves_from {
            line += &format!(", being dissolved from block {from} on");
        }
        line + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_redrawn_leaves_nothing_of_what_was_there() {
        assert_eq!(redraw("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
