//! isthmus-rules
