// Writes the Turtle files of the LV2 bundle, from the table of parameters and the presets:
//
//   describe BUNDLE PRESETS [EDITOR]
//
// where BUNDLE is the bundle's folder, PRESETS a folder of presets, and EDITOR the name of the
// library of the plug-in's window in the bundle. Each timbre becomes an LV2 preset, which hosts
// show in their own lists.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "capi/audiogen.h"
#include "plugin/common/instance.h"
#include "plugin/lv2/ports.h"

namespace fs = std::filesystem;
using namespace audiogen::plugin;
using namespace audiogen::plugin::lv2;

static constexpr const char* kPrefixes = R"(@prefix atom: <http://lv2plug.in/ns/ext/atom#> .
@prefix bufsz: <http://lv2plug.in/ns/ext/buf-size#> .
@prefix doap: <http://usefulinc.com/ns/doap#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix log: <http://lv2plug.in/ns/ext/log#> .
@prefix lv2: <http://lv2plug.in/ns/lv2core#> .
@prefix midi: <http://lv2plug.in/ns/ext/midi#> .
@prefix opts: <http://lv2plug.in/ns/ext/options#> .
@prefix patch: <http://lv2plug.in/ns/ext/patch#> .
@prefix pset: <http://lv2plug.in/ns/ext/presets#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix rsz: <http://lv2plug.in/ns/ext/resize-port#> .
@prefix state: <http://lv2plug.in/ns/ext/state#> .
@prefix ui: <http://lv2plug.in/ns/extensions/ui#> .
@prefix units: <http://lv2plug.in/ns/extensions/units#> .
@prefix urid: <http://lv2plug.in/ns/ext/urid#> .

)";

// A literal of Turtle.
static std::string quoted(const std::string& text) {
  std::string literal = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') literal += '\\';
    literal += c;
  }
  return literal + "\"";
}

// "morph_timbre" becomes "Morph timbre".
static std::string label_of(std::string name) {
  for (char& c : name) {
    if (c == '_' || c == '-') c = ' ';
  }
  name[0] = static_cast<char>(name[0] >= 'a' && name[0] <= 'z' ? name[0] - 'a' + 'A' : name[0]);
  return name;
}

static std::string number(float value) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.9g", static_cast<double>(value));
  std::string decimal = text;
  return decimal.find_first_of(".e") == std::string::npos ? decimal + ".0" : decimal;
}

static std::string unit_of(const std::string& unit) {
  if (unit == "semitones") return " ;\n    units:unit units:semitone12TET";
  if (unit == "s" || unit == "ms" || unit == "db" || unit == "pc") {
    return " ;\n    units:unit units:" + unit;
  }
  if (unit == "Hz") return " ;\n    units:unit units:hz";
  return "";
}

// One port, as a blank node.
static std::string port(std::uint32_t index, const std::string& types, const std::string& symbol,
                        const std::string& label, const std::string& more) {
  return "  [\n    a " + types + " ;\n    lv2:index " + std::to_string(index) +
         " ;\n    lv2:symbol " + quoted(symbol) + " ;\n    lv2:name " + quoted(label) +
         (more.empty() ? "" : " ;\n    " + more) + "\n  ]";
}

static std::vector<std::string> ports() {
  const std::string midi = "atom:bufferType atom:Sequence ;\n    rsz:minimumSize 8192 ;\n    ";
  const std::string range = "lv2:minimum 0.0 ;\n    lv2:maximum 1.0 ;\n    lv2:default 0.0 ;\n    ";
  const std::string level =
      "lv2:minimum 0.0 ;\n    lv2:maximum 1.0 ;\n    lv2:portProperty lv2:connectionOptional ;\n   "
      " "
      "rdfs:comment \"Peak of the last block; 1 is full scale.\"";
  const std::string side = "lv2:portProperty lv2:isSideChain , lv2:connectionOptional";
  std::vector<std::string> list = {
      port(
          kMidiIn, "lv2:InputPort , atom:AtomPort", "midi_in", "MIDI in",
          midi + "atom:supports midi:MidiEvent , patch:Message ;\n    lv2:designation lv2:control"),
      port(kNotify, "lv2:OutputPort , atom:AtomPort", "notify", "Notify",
           midi + "atom:supports patch:Message ;\n    lv2:portProperty lv2:connectionOptional"),
      port(kLeft, "lv2:OutputPort , lv2:AudioPort", "left", "Left", ""),
      port(kRight, "lv2:OutputPort , lv2:AudioPort", "right", "Right", ""),
      port(kSideLeft, "lv2:InputPort , lv2:AudioPort", "side_left", "Side chain left", side),
      port(kSideRight, "lv2:InputPort , lv2:AudioPort", "side_right", "Side chain right", side),
      port(kFreewheel, "lv2:InputPort , lv2:ControlPort", "freewheel", "Freewheel",
           range + "lv2:designation lv2:freeWheeling ;\n    lv2:portProperty lv2:toggled , "
                   "lv2:connectionOptional"),
      port(kLatency, "lv2:OutputPort , lv2:ControlPort", "latency", "Latency",
           "lv2:designation lv2:latency ;\n    lv2:portProperty lv2:reportsLatency , lv2:integer , "
           "lv2:connectionOptional"),
      port(kTimbre, "lv2:InputPort , lv2:ControlPort", "timbre", "Timbre",
           "lv2:minimum -1 ;\n    lv2:maximum 127 ;\n    lv2:default -1 ;\n    "
           "lv2:portProperty lv2:integer ;\n    lv2:scalePoint [ rdfs:label \"default of the "
           "preset\" ; <http://www.w3.org/1999/02/22-rdf-syntax-ns#value> -1 ] ;\n    "
           "rdfs:comment \"Number of the timbre within the preset, from 0.\""),
      port(kLevelLeft, "lv2:OutputPort , lv2:ControlPort", "level_left", "Level left", level),
      port(kLevelRight, "lv2:OutputPort , lv2:ControlPort", "level_right", "Level right", level),
  };
  for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
    const audiogen_parameter& row = *audiogen_parameter_info(i);
    list.push_back(port(static_cast<std::uint32_t>(kFirstParameter + i),
                        "lv2:InputPort , lv2:ControlPort", row.name, label_of(row.name),
                        "lv2:minimum " + number(row.lowest) + " ;\n    lv2:maximum " +
                            number(row.highest) + " ;\n    lv2:default " + number(row.initial) +
                            " ;\n    rdfs:comment " + quoted(row.help) + unit_of(row.unit)));
  }
  return list;
}

static std::ofstream created(const fs::path& path) {
  std::ofstream file(path);
  if (!file) throw std::runtime_error(path.string() + " cannot be written");
  file << kPrefixes;
  return file;
}

// The window, and how a host opens it.
static void write_editor(std::ofstream& file) {
  file << "<" << kUiUri << ">\n  a ui:X11UI ;\n"
       << "  lv2:requiredFeature urid:map , ui:idleInterface ;\n"
       << "  lv2:optionalFeature ui:parent , ui:resize , ui:touch , opts:options ;\n"
       << "  lv2:extensionData ui:idleInterface , ui:showInterface , ui:resize ;\n"
       << "  ui:portNotification [\n    ui:plugin <" << kUri
       << "> ;\n    lv2:symbol \"notify\" ;\n    ui:notifyType atom:Object ;\n"
       << "    ui:protocol atom:eventTransfer\n  ] .\n\n";
}

static void write_plugin(const fs::path& bundle, bool has_editor) {
  std::ofstream file = created(bundle / "audiogen.ttl");
  if (has_editor) write_editor(file);
  file << "<" << kPresetUri << ">\n  a lv2:Parameter ;\n  rdfs:label \"Preset\" ;\n"
       << "  rdfs:comment \"Name of the preset.\" ;\n  rdfs:range atom:String .\n\n"
       << "<" << kTimbreUri << ">\n  a lv2:Parameter ;\n  rdfs:label \"Timbre\" ;\n"
       << "  rdfs:comment \"Name of a timbre of the preset.\" ;\n  rdfs:range atom:String .\n\n"
       << "<" << kMissingUri << ">\n  a lv2:Parameter ;\n  rdfs:label \"Preset missing\" ;\n"
       << "  rdfs:comment \"Whether the preset is missing or damaged, and the plug-in silent.\" ;\n"
       << "  rdfs:range atom:Bool .\n\n"
       << "<" << kPlayingUri << ">\n  a lv2:Parameter ;\n  rdfs:label \"Timbre that plays\" ;\n"
       << "  rdfs:comment \"Number of the timbre within the preset.\" ;\n"
       << "  rdfs:range atom:Int .\n\n"
       << "<" << kKeysUri << ">\n  a lv2:Parameter ;\n  rdfs:label \"Held keys\" ;\n"
       << "  rdfs:comment \"Two long integers: bit k is pitch k, or 64 + k.\" ;\n"
       << "  rdfs:range atom:Vector .\n\n"
       << "<urn:audiogen:project>\n  a doap:Project ;\n  doap:name \"audiogen\" ;\n"
       << "  doap:maintainer [ a foaf:Person ; foaf:name \"the audiogen project\" ] .\n\n"
       << "<" << kUri << ">\n  a lv2:InstrumentPlugin , lv2:Plugin ;\n"
       << "  lv2:project <urn:audiogen:project> ;\n  doap:name \"audiogen\" ;\n"
       << "  doap:license <https://spdx.org/licenses/Apache-2.0> ;\n"
       << "  rdfs:comment \"A neural synthesiser: GANSynth and SampleRNN presets.\" ;\n"
       << "  lv2:minorVersion 8 ;\n  lv2:microVersion 0 ;\n"
       << "  lv2:requiredFeature urid:map ;\n"
       << "  lv2:optionalFeature lv2:hardRTCapable , opts:options , log:log ;\n"
       << "  opts:supportedOption bufsz:nominalBlockLength , bufsz:maxBlockLength ;\n"
       << "  lv2:extensionData state:interface ;\n"
       << "  patch:writable <" << kPresetUri << "> ;\n"
       << "  patch:readable <" << kMissingUri << "> , <" << kPlayingUri << "> , <" << kKeysUri
       << "> ;\n";
  if (has_editor) file << "  ui:ui <" << kUiUri << "> ;\n";
  file << "  lv2:port\n";
  const std::vector<std::string> list = ports();
  for (std::size_t i = 0; i < list.size(); ++i) {
    file << list[i] << (i + 1 < list.size() ? " ,\n" : " .\n");
  }
}

// The LV2 presets; returns the manifest's lines about them.
static std::string write_presets(const fs::path& bundle, const std::string& folder) {
  std::ofstream file = created(bundle / "presets.ttl");
  std::string manifest;
  const char* const folders[] = {folder.c_str()};
  const PresetList list(audiogen_find_presets(folders, 1));
  for (std::size_t p = 0; list && p < audiogen_n_found(list.get()); ++p) {
    const std::string name = audiogen_found_name(list.get(), p);
    if (fs::path(audiogen_found_folder(list.get(), p)).parent_path() != fs::path(folder)) continue;
    const Preset preset(audiogen_open(audiogen_found_folder(list.get(), p)));
    if (!preset) throw std::runtime_error(audiogen_error());
    const std::string bank = "urn:audiogen:bank:" + name;
    file << "<" << bank << "> a pset:Bank ; rdfs:label " << quoted(name) << " .\n\n";
    const std::size_t n = audiogen_preset_n_timbres(preset.get());
    for (std::size_t t = 0; t < std::max<std::size_t>(n, 1); ++t) {
      const char* timbre = audiogen_preset_timbre(preset.get(), t);
      const std::string uri =
          "urn:audiogen:preset:" + name + (timbre ? std::string(":") + timbre : "");
      file << "<" << uri << ">\n  a pset:Preset ;\n  lv2:appliesTo <" << kUri
           << "> ;\n  rdfs:label " << quoted(timbre ? name + ": " + timbre : name)
           << " ;\n  pset:bank <" << bank << "> ;\n  lv2:port [ lv2:symbol \"timbre\" ; pset:value "
           << (timbre ? std::to_string(t) : "-1") << " ] ;\n  state:state [ <" << kPresetUri << "> "
           << quoted(name);
      if (timbre) file << " ; <" << kTimbreUri << "> " << quoted(timbre);
      file << " ] .\n\n";
      manifest += "<" + uri + ">\n  a pset:Preset ;\n  lv2:appliesTo <" + kUri +
                  "> ;\n  rdfs:seeAlso <presets.ttl> .\n\n";
    }
  }
  return manifest;
}

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::cerr << "usage: describe BUNDLE PRESETS [EDITOR]\n";
    return 2;
  }
  try {
    const fs::path bundle = argv[1];
    fs::create_directories(bundle);
    const bool has_editor = argc == 4;
    write_plugin(bundle, has_editor);
    const std::string presets = write_presets(bundle, argv[2]);
    std::ofstream manifest = created(bundle / "manifest.ttl");
    manifest << "<" << kUri << ">\n  a lv2:Plugin ;\n  lv2:binary <audiogen.so> ;\n"
             << "  rdfs:seeAlso <audiogen.ttl> .\n\n";
    if (has_editor) {
      manifest << "<" << kUiUri << ">\n  a ui:X11UI ;\n  lv2:binary <" << argv[3]
               << "> ;\n  rdfs:seeAlso <audiogen.ttl> .\n\n";
    }
    manifest << presets;
  } catch (const std::exception& error) {
    std::cerr << "describe: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
