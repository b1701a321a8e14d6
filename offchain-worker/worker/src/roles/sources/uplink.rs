//! How fast this machine sends to other members, for who only wants to know: some of their peers take a few MiB.

use cairn_primitives::Text;
use cairn_store::guard::Origin;

use super::{peer::Guest, Relays, Unanswered};

/// Peers to which something is sent at most.
const MOST: usize = 3;

/// An endpoint, and the bits a second at least that went there, or why none did.
pub type Probed = (Text, Result<f64, Unanswered>);

/// Sends to one of these peers after the other, under a key that is used once, until one of them got so many bits a
/// second, or three were sent some. Those that may not be asked, are busy, or of an older version do not count.
pub async fn uplink(
    peers: &[Text],
    (origin, relays): (Origin, &Relays),
    enough: f64,
) -> Vec<Probed> {
    let Some(first) = peers.first() else {
        return Vec::new();
    };
    let guest = match Guest::start(relays.clone()).await {
        Ok(guest) => guest,
        Err(why) => return vec![(first.clone(), Err(Unanswered::NotAsked(why)))],
    };
    let (mut probed, mut asked) = (Vec::new(), 0usize);
    for peer in peers {
        let found = guest.probe(&peer.to_text(), origin).await;
        let is_enough = matches!(found, Ok(bits) if bits >= enough);
        if matches!(found, Ok(_) | Err(Unanswered::Silent(_))) {
            asked = asked.saturating_add(1);
        }
        probed.push((peer.clone(), found));
        if is_enough || asked >= MOST {
            break;
        }
    }
    guest.close().await;
    probed
}

#[cfg(all(test, feature = "p2p"))]
mod tests {
    use super::{super::impostor_tests::Place, *};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn workers_are_asked_until_one_takes_enough_or_three_were() {
        let (none, _) = Relays::choose(None, &[], Origin::Owner);
        let by = (Origin::Owner, &none);
        let (one, other) = (Place::new().await, Place::new().await);
        let [one_at, other_at] = [&one, &other].map(|place| place.sources.endpoints[0].clone());
        assert!(uplink(&[], by, 1.0).await.is_empty());
        let odd = Text::new("iroh://nobody").expect("short");
        let found = uplink(&[odd, one_at.clone(), other_at.clone()], by, 1.0).await;
        let [(_, Err(Unanswered::NotAsked(_))), (at, Ok(bits))] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(*at == one_at && *bits >= 1.0, "{found:?}");
        // Nothing is enough, and nobody takes two of one key: who is busy does not count.
        let all = [&one_at, &one_at, &one_at, &other_at].map(Clone::clone);
        let found = uplink(&all, by, f64::INFINITY).await;
        assert!(found.len() == 4 && found[0].1.is_ok(), "{found:?}");
        let are_busy = |(_, found): &Probed| matches!(found, Err(Unanswered::Declined(_)));
        assert!(found[1..3].iter().all(are_busy), "{found:?}");
        assert!(found[3].1.is_ok(), "{found:?}");
        // What a chain named is not asked on this machine, and does not count.
        let found = uplink(&all, (Origin::Chain, &none), 1.0).await;
        let are_left_out = |(_, found): &Probed| matches!(found, Err(Unanswered::NotAsked(_)));
        assert!(
            found.len() == 4 && found.iter().all(are_left_out),
            "{found:?}"
        );
        for place in [one, other] {
            place.sources.close().await;
        }
    }
}
