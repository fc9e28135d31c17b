//! Laws of repair: whatever value of a healthy set of policies is broken, and
//! whatever is seen of the traffic then, the mend keeps its promises.

#![allow(clippy::unwrap_used)]

mod cluster;

use std::sync::LazyLock;

use cluster::breakage::{Breakage, breakages};
use cluster::{Call, Shop, folder, mend};
use policyfix::engine::SideVerdict;
use policyfix::traffic::Side;
use proptest::prelude::*;

static SHOP: LazyLock<Shop> = LazyLock::new(Shop::new);
static BREAKAGES: LazyLock<Vec<Breakage>> =
    LazyLock::new(|| breakages(&SHOP.with_policies(&folder("scenarios/shop/policies"))));

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mend_keeps_its_promises(
        breakage in any::<prop::sample::Index>(),
        seen in prop::collection::vec(prop::bool::weighted(0.7), SHOP.traffic.len()),
    ) {
        let broken = breakage.get(&BREAKAGES);
        let traffic: Vec<Call> =
            SHOP.traffic.iter().zip(&seen).filter(|(_, seen)| **seen).map(|(call, _)| call.clone()).collect();
        let before = SHOP.endpoints.judge(&broken.files, &traffic);
        let mended = mend(&broken.files, SHOP.endpoints.observe(&traffic, &before));
        let after = SHOP.endpoints.judge(&mended.files, &traffic);
        let tally = &mended.suggestion.tally;
        let told = format!("{} ({})\n{}\n{tally:?}", broken.place, broken.what, mended.diff);
        for ((call, before), after) in traffic.iter().zip(&before).zip(&after) {
            if before.passes() {
                prop_assert!(after.passes(), "{call:?} is lost: {told}");
            } else if tally.withheld + tally.unmended == 0 {
                prop_assert!(after.passes(), "{call:?} is still dropped and nothing says so: {told}");
            }
        }
        let universe = SHOP.universe();
        let before = SHOP.endpoints.judge(&broken.files, &universe);
        let after = SHOP.endpoints.judge(&mended.files, &universe);
        for ((call, before), after) in universe.iter().zip(before).zip(after) {
            for side in Side::BOTH {
                if matches!(before.on(side), SideVerdict::DeniedByRule(_)) {
                    prop_assert_eq!(after.on(side).word(), "deny-rule", "{:?} on {}: {}", call, side, told);
                }
            }
        }
        let isolated = SHOP.endpoints.isolated(&broken.files);
        for side in SHOP.endpoints.isolated(&mended.files) {
            prop_assert!(isolated.contains(&side), "{side:?} is newly isolated: {told}");
        }
        if mended.diff.is_empty() {
            prop_assert_eq!(&mended.files, &broken.files);
        } else {
            prop_assert!(tally.fixes > 0);
        }
    }
}
