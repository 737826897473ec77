//! Who may approve, as far as the files say.

use super::Loader;
use crate::config::WebFile;
use crate::config::names::Names;
use crate::config::sections::Sections;
use crate::tls::server::ClientAuth;
use crate::token::{Caller, Scope, Token};

impl Loader<'_> {
    /// The names under which heals can be approved.
    pub(super) fn approvers(&self, sections: &Sections<'_>, web_file: &WebFile) -> Names {
        let mut names = Names::new("approver");
        let tokens = sections.web.all_tokens();
        let may_approve = |token: &&Token| Caller::new(&token.name, &token.scopes).may(Scope::Approve);
        tokens.iter().filter(may_approve).for_each(|token| names.add(&token.name));
        web_file.users.keys().for_each(|user| names.add(user));
        // Whoever sees a receiver's messages may have a link or a button in them.
        sections.receiver_names.iter().for_each(|receiver| names.add(receiver));
        if web_file.tls.as_ref().is_some_and(|tls| tls.client_auth == ClientAuth::RequireAndVerify) {
            names.add("client certificate");
        }
        if tokens.is_empty() && web_file.users.is_empty() {
            names.add("local");
        }
        // Tokens and users are known only where everything about them could be read.
        if self.secrets.is_none() || self.problems.borrow().has_errors() {
            names.mark_incomplete();
        }
        names
    }
}
