//! Many workers over one database.
