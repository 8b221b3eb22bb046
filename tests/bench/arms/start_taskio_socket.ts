import "../../../socket/mod.ts";
