/**
 * The inside of `tls/`, file by file. It is loaded by this list, for the start's sake: Deno reads
 * the source map of every module that is the first to name another, and this one is small.
 *
 * @module
 */

// Options and certificates.
import "./plan.ts"; // options that were checked
import "./certificate.ts";
import "./chain.ts"; // who vouches for them
import "./authority.ts"; // who may
import "./strict.ts"; // and in which form
import "./showable.ts"; // what can be shown of them
import "./x509.ts"; // certificates of one's own making
import "./der.ts";
import "./pem.ts";
import "./names.ts"; // names in certificates
import "./codes.ts"; // what went wrong
import "./builtins.ts"; // Node's modules, loaded when they are used

// The two engines.
import "./backend.ts"; // which of them
import "./secured.ts"; // what they have in common
import "./session.ts"; // what is known of a connection
import "./native.ts"; // Deno's
import "./node.ts"; // Node's
import "./node_server.ts";
import "./wire.ts"; // its ciphertext
import "./client_hello.ts";
import "./verified.ts"; // whose certificates were verified
import "./acceptor.ts"; // handshakes side by side

import "./encrypted.ts"; // the sockets on which the calls of `tls/` work
