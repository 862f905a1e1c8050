//! isthmus-runtime
