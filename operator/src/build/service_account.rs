//! The identity of the pods. They ask the API server nothing, so it gets no token and no role.

use k8s_openapi::api::core::v1::ServiceAccount;

pub(super) fn build() -> ServiceAccount {
    ServiceAccount { automount_service_account_token: Some(false), ..ServiceAccount::default() }
}
