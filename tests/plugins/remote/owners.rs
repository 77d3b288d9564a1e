//! Who may install: an owner, and nobody else.

use latchlight::commands::Verb;
use latchlight::identity::{Principal, Who};
use latchlight::plugin_host::InstallError;

use super::Signer;
use crate::house::Furnishing;

#[tokio::test]
async fn c29_only_an_owner_installs_and_removes() {
    let signer = Signer::new();
    let house = Furnishing::new()
        .set("remote_install", true.into())
        .set("keys", serde_json::json!([signer.public()]))
        .move_in()
        .await;
    let far = signer.far("1.0.0");
    let guest = house.guest(Verb::Unlock, "front-door").await;
    let light = Who::Device("hall".parse().unwrap());
    for who in [guest, light, Who::Plugin("far".into()), Who::Topic("a/b".into())] {
        let who = Principal::over_mqtt(who);
        let library = far.bytes.clone().into();
        let refused = house.host.install(&who, "far", library, far.signature.clone()).await;
        assert!(matches!(refused, Err(InstallError::NotAllowed(_))), "{refused:?}");
        let refused = house.host.remove(&who, "far").await;
        assert!(matches!(refused, Err(InstallError::NotAllowed(_))), "{refused:?}");
        assert!(house.host.admit(&who, "far").is_err());
        for words in ["install_plugin {}", "load_plugin far"] {
            let error = house.say_as(who.who.clone(), words, false).await.unwrap_err();
            assert!(
                error.message.contains("lacks the scope") || error.message.contains("no scope")
            );
        }
    }
    let owner = Principal::over_mqtt(Who::Operator);
    house.host.install(&owner, "far", far.bytes.clone().into(), far.signature).await.unwrap();
    assert!(house.say("far_speak").await.is_ok());
}
