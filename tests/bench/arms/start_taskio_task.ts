import "../../../task/mod.ts";
